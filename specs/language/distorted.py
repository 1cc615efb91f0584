"""What channels and abstractions make of a specification's inputs: further ones, joined with those that are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from specs.language.channel_files import ChannelReader
from specs.language.channels import Channels, extended
from specs.language.compile_spec import Expressions
from specs.language.coupling import Coupling
from specs.language.injection import Injection
from specs.language.module_files import ModuleReader
from specs.language.schema import SpecFile
from specs.language.source import Source
from specs.sets import InputSet


class Distorted(NamedTuple):
    """Inputs, expressions, coupling and what is written into layers, all with what is added; and the channels."""

    inputs: tuple[InputSet, ...]
    expressions: Expressions
    coupling: Coupling
    written: tuple[Injection, ...]
    channels: Channels


def distort(
    source: Source,
    section: SpecFile,
    inputs: tuple[InputSet, ...],
    expressions: Expressions,
    coupling: Coupling,
    written: Sequence[Injection],
    reader: ModuleReader,
) -> Distorted:
    """The same with the inputs that channels add; files that are read become modules of ``reader``."""
    channels = ChannelReader(source, section, inputs, expressions, reader.folder, reader.load)
    fronts, hidden = channels.channels(reader.read)
    reader.read = (*reader.read, *channels.files)
    coupling = extended(coupling, inputs, hidden)
    inputs = (*inputs, *(one.input for one in hidden))
    linear = [*expressions.linear, *(() for _ in hidden)]
    return Distorted(
        inputs,
        replace(expressions, linear=linear),
        coupling,
        tuple(written),
        Channels(fronts, tuple(hidden), inputs, coupling.places),
    )
