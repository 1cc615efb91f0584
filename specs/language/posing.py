"""The networks of a specification made ready for its requirements: one by itself, or a composition of all calls.

Whatever adds inputs that the specification does not name meets here: what is written into layers, level sets of
Gaussians, channels and abstractions, answers of tables.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from specs.hulls import Hull
from specs.language.compile_spec import Expressions, coupling_of
from specs.language.composition import Composition
from specs.language.expansion import Expansion
from specs.language.expressions.expression import LIPSCHITZ
from specs.language.inputs.gaussian import with_ellipsoids
from specs.language.inputs.injection import injections
from specs.language.inputs.natural import NaturalSet
from specs.language.module_files import ModuleFile, ModuleReader
from specs.language.networks import OneNetwork, Poser
from specs.language.schema.file import SpecFile
from specs.language.schema.inputs import Input
from specs.language.tables.questions import table_answers
from specs.language.text.source import Source
from specs.sets import InputSet


@dataclass(frozen=True)
class Posing:
    """``poser`` has all inputs; ``inputs`` are those that a specification tells of. ``groups`` are coupled inputs.

    ``sections`` are what is said of inputs, also of some that are added; ``claimed`` are bounds that are given of such,
    by their names; ``ready`` are natural sets, by the number of what is written.
    """

    poser: Poser
    groups: Sequence[frozenset[int]]
    inputs: tuple[InputSet, ...]
    expressions: Expressions
    sections: Mapping[str, Input]
    claimed: Mapping[str, Hull] = field(default_factory=dict)
    ready: dict[int, NaturalSet] = field(default_factory=dict)


def pose(
    source: Source,
    section: SpecFile,
    files: Sequence[ModuleFile],
    inputs: tuple[InputSet, ...],
    expressions: Expressions,
    expansion: Expansion,
    reader: ModuleReader,
) -> Posing:
    """The networks of ``files`` on ``inputs``. Raises ``SpecError`` with all faults so far, or ``ModelError``."""
    faults = source.faults
    distorted = any(m.front for m in section.models.values()) or any(x.abstract_by for x in section.inputs.values())
    if not reader.cores and not distorted and _is_plain(files, inputs, expressions) and not inputs[0].role:
        network = OneNetwork(reader.only(files[0], section, inputs[0]), inputs[0])
        return Posing(network, (frozenset((0,)),), inputs, expressions, section.inputs)
    modules = expansion.modules(reader.all(files, section))
    written = injections(source, section.inputs, modules, inputs)
    _check_moves(source, section, inputs)
    faults.raise_if_any()
    inputs, ready = with_ellipsoids(source, section.inputs, modules, inputs, written, reader.folder)
    faults.raise_if_any()
    coupling = coupling_of(inputs, expressions)
    if distorted:
        from specs.language.observations.distorted import distort

        made = distort(source, section, inputs, expressions, coupling, written, reader)
        faults.raise_if_any()
        poser = Composition(modules, made.inputs, made.coupling, made.written, {}, made.channels)
        sections = {**section.inputs, **made.sections}
        return Posing(poser, made.coupling.groups, made.inputs, made.expressions, sections, made.claimed, ready)
    answers, answered = table_answers(source, expressions, modules, inputs, coupling)
    everything = (*inputs, *answers)
    if answers:
        expressions = replace(expressions, linear=[*expressions.linear, *(() for _ in answers)])
        coupling = coupling_of(everything, expressions)
    faults.raise_if_any()
    poser = Composition(modules, everything, coupling, written, answered)
    return Posing(poser, coupling.groups, inputs, expressions, section.inputs, ready=ready)


def _is_plain(files: Sequence[ModuleFile], inputs: Sequence[InputSet], expressions: Expressions) -> bool:
    """Whether all that is ever called is one model, on the one input as it is: then there is nothing to compose."""
    if len(files) != 1 or len(inputs) != 1 or files[0].kind != "model" or any(expressions.hulls):
        return False
    calls = [node for one in expressions.all for node in ast.walk(one.tree) if isinstance(node, ast.Call)]
    return all(
        isinstance(node.func, ast.Name)
        and node.func.id != LIPSCHITZ
        and (
            node.func.id != files[0].name
            or [part.id for part in node.args if isinstance(part, ast.Name)] == [inputs[0].name]
        )
        for node in calls
    )


def _check_moves(source: Source, section: SpecFile, inputs: Sequence[InputSet]) -> None:
    """Moves that nothing in the specification lets the adversary make are a mistake."""
    moves = section.adversary.moves if section.adversary is not None else ()
    if "latent" in moves and not any(one.role for one in inputs):
        source.fault("latent: no input is written into a layer; give one `inject`", "adversary", "moves")
    if "input" in moves and all(one.role or one.is_point for one in inputs):
        source.fault("input: there is no input with any freedom", "adversary", "moves")
