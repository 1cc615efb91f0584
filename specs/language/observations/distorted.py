"""What channels and abstractions make of a specification's inputs: further ones, joined with those that are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from specs.hulls import Hull
from specs.language.compile_spec import Expressions
from specs.language.inputs.coupling import Coupling
from specs.language.inputs.injection import Injection
from specs.language.module_files import ModuleReader
from specs.language.observations.abstraction import read_abstraction
from specs.language.observations.channels import Channels, extended
from specs.language.observations.files import ChannelReader
from specs.language.schema.file import SpecFile
from specs.language.schema.inputs import Gaussian, Input
from specs.language.text.source import Source
from specs.sets import InputSet


class Distorted(NamedTuple):
    """Inputs, expressions, coupling and what is written into layers, all with what is added; and the channels.

    ``sections`` are those of inputs that are added, ``claimed`` the bounds that are given for them.
    """

    inputs: tuple[InputSet, ...]
    expressions: Expressions
    coupling: Coupling
    written: tuple[Injection, ...]
    channels: Channels
    sections: Mapping[str, Input]
    claimed: dict[str, Hull]


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
    _refuse(source, section)
    abstraction = read_abstraction(
        source, section.inputs, inputs, len(inputs) + len(hidden), reader.folder, reader.load
    )
    files, given = list(channels.files), list(written)
    if abstraction is not None:
        if any(one.of == abstraction.hidden.of for one in hidden):
            source.fault("what is abstracted cannot be rounded or noisy as well", "inputs", inputs[hidden[0].of].name)
        hidden.append(abstraction.hidden)
        files.append(abstraction.module)
        given.append(abstraction.written)
    reader.read = (*reader.read, *files)
    coupling = extended(coupling, inputs, hidden)
    inputs = (*inputs, *(one.input for one in hidden))
    linear = [*expressions.linear, *(() for _ in hidden)]
    return Distorted(
        inputs,
        replace(expressions, linear=linear),
        coupling,
        tuple(given),
        Channels(fronts, tuple(hidden), inputs, coupling.places, abstraction.graph if abstraction else None),
        {abstraction.name: abstraction.section} if abstraction is not None else {},
        {abstraction.name: abstraction.given} if abstraction is not None and abstraction.given is not None else {},
    )


def _refuse(source: Source, section: SpecFile) -> None:
    """Faults for what says something about inputs and models as they are without what is between them."""
    adversary, places = section.adversary, list[tuple[str, ...]]()
    for key, given in (("monitor", section.monitor), ("guard", section.guard)):
        places += [(key,)] if given is not None else []
    if adversary is not None:
        given_moves = (("expand_catastrophe", adversary.expand_catastrophe), ("round", adversary.round))
        places += [("adversary", key) for key, given in given_moves if given is not None]
    places += [("overseers", name, "table") for name, one in section.overseers.items() if one.table is not None]
    if any(one.abstract_by is not None for one in section.inputs.values()):  # chains know their errors within a box
        places += [("overseers", name, "chain") for name, one in section.overseers.items() if one.chain is not None]
    for name, one in section.inputs.items():
        if one.natural is not None and isinstance(one.natural.hull, Gaussian):
            places.append(("inputs", name, "natural", "hull"))
    for place in places:
        source.fault("is not supported beside channels and abstractions yet", *place)
