"""spec.yaml: read, checked, and compiled for its networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from specs.errors import SpecError
from specs.graph import Graph
from specs.language.assumptions import read_assumptions
from specs.language.compile_spec import Expressions, SpecCompiler
from specs.language.expansion import expanded, with_probe
from specs.language.gates import read_gates
from specs.language.inputs.hull_domain import LocatedHull
from specs.language.inputs.input_set import build_input_set
from specs.language.inputs.natural import Reach
from specs.language.inputs.naturals import Naturals
from specs.language.module_files import ModuleReader
from specs.language.monitors import MonitorCompiler
from specs.language.networks import OneNetwork
from specs.language.posing import pose
from specs.language.rates.part import ordinary_part
from specs.language.schema.faults import validated
from specs.language.schema.file import Emit, Engine, Requirement, SpecFile, Where
from specs.language.solve_for import Solving, read_solved, starting_values, with_values
from specs.language.spec import EngineOptions, Extrapolate, Spec
from specs.language.text.faults import Faults
from specs.language.text.source import Source
from specs.language.text.textfile import read_text
from specs.language.text.yaml_tree import read_yaml
from specs.language.unwritten import check_rounding


def read_spec(
    path: Path,
    model: Path | None,
    parameters: Mapping[str, str],
    load: Callable[..., Graph],
    reach: Reach | None = None,
    adjust: Callable[[SpecFile], SpecFile] = lambda section: section,
    only: str = "",
) -> Spec:
    """The specification in a spec.yaml, compiled for its networks.

    ``model`` is the value of ``$MODEL``, and replaces the model's own path where there is but one network;
    ``load(path, **options)`` reads a model file, ``reach`` bounds what a layer can hold. ``adjust`` may change what the
    file says before anything is made of it. ``only`` is the id of the only requirement that is wanted, if there is one.
    Where ``parameters`` has no value for what a requirement solves for, it is compiled at the range's easy end.
    Numbers are exact decimals. Sets and expressions are in raw units; a problem is about what the model consumes, and
    the map between the two is exact. Raises ``SpecError`` with every fault that can be told at once, or ``ModelError``.
    """
    given = {**parameters, "MODEL": str(model)} if model is not None else dict(parameters)
    text = read_text(path)
    starts = starting_values(text, given)
    document = ordinary_part(read_yaml(text, path, {**starts, **given}, starts))
    faults = Faults(path)
    if not isinstance(document.data, dict):
        raise SpecError('expected keys and values, starting with certify: "1.0"', path, 1)
    section = adjust(validated(SpecFile, document, faults))
    section, source = with_probe(section, Source(text.split("\n"), document, faults))
    check_rounding(section, source)
    source.check_names(
        *(("models", name) for name in section.models),
        *(("overseers", name) for name in section.overseers),
        *(("inputs", name) for name in section.inputs),
        *(("let", name) for name in section.let),
        *(("require", i, "solve_for", name) for i, one in enumerate(section.require) for name in one.solve_for),
    )
    built = [build_input_set(name, one, document, faults, path.parent) for name, one in section.inputs.items()]
    inputs = tuple(one for one in built if one is not None)
    solved = read_solved(section, source, parameters)
    expressions = with_values(_parse(source, section), solved.values())
    expansion = expanded(section, expressions, source)
    section, expressions, source = expansion.section, expansion.expressions, expansion.source
    reader = ModuleReader(source, path.parent, model, load)
    files = reader.files(section)
    faults.raise_if_any()
    if len(inputs) < len(built):
        raise AssertionError("an input set is missing although nothing is wrong with it")
    posing = pose(source, section, files, inputs, expressions, expansion, reader)
    inputs, expressions, poser = posing.inputs, posing.expressions, posing.poser
    naturals = Naturals(source, poser, posing.sections, reader.read, path.parent, reach, posing.claimed, posing.ready)
    compiler = SpecCompiler(source, expressions, poser, posing.groups, path.parent, naturals)
    requirements = compiler.requirements(section.require, only)
    requirements = expansion.attached(requirements)
    requirements = Solving(source, expressions, poser, solved).attached(requirements, section)
    assumptions = (*read_assumptions(section, source), *(one for module in reader.read for one in module.assumptions))
    wanted = {(one.id, key): two.maximize for one in section.require for key, two in one.solve_for.items()}
    gates = read_gates(section, wanted, source)
    faults.raise_if_any()
    monitor = None
    if section.monitor is not None:
        wrapper = MonitorCompiler(source, reader.read, inputs, path.parent)
        monitor = wrapper.plan(section.monitor, compiler.hulls, requirements)
    elif "monitor" in section.emit:
        source.fault("there is no section monitor that says which", "emit")
    guard = None
    if section.guard is not None:
        from specs.language.guards import GuardCompiler

        front = GuardCompiler(source, expressions, reader.read, inputs, path.parent)
        guard = front.plan(section.guard, [one.id for one in section.require], requirements)
    faults.raise_if_any()
    return Spec(
        name=section.name,
        file=path,
        model_file=files[0].file if isinstance(poser, OneNetwork) else None,
        requirements=requirements,
        description=section.description,
        inputs=inputs,
        modules=reader.read,
        composed=not isinstance(poser, OneNetwork),
        hulls=compiler.hulls,
        naturals=tuple(naturals.sets.values()),
        calibrated=section.adversary is not None and section.adversary.calibrate_power is not None,
        rounding=section.adversary.round if section.adversary is not None else None,
        monitor=monitor,
        guard=guard,
        engine=_engine(section.engine),
        emit=tuple(one if isinstance(one, str) else "extrapolation" for one in section.emit),
        extrapolate=_extrapolate(section.emit, path.parent),
        gates=gates,
        assumptions=assumptions,
        parameters=MappingProxyType(dict(parameters)),
    )


def _parse(source: Source, section: SpecFile) -> Expressions:
    """Every expression of the file, parsed; faults go to ``source``."""
    linear = [source.parse_all(one.linear, "inputs", name, "linear") for name, one in section.inputs.items()]
    lets = {name: source.parse(text, "let", name) for name, text in section.let.items()}
    asserts = [source.parse(one.assert_, "require", i, "assert") for i, one in enumerate(section.require)]
    where = [source.parse_all(one.where, "require", i, "where") for i, one in enumerate(section.require)]
    ids = [one.id for one in section.require]
    for i, name in enumerate(ids):
        if name in ids[:i]:
            source.fault(f"the id {name!r} is used twice", "require", i, "id")
    return Expressions(linear, lets, asserts, where, [_hulls(one, i) for i, one in enumerate(section.require)])


def _hulls(one: Requirement, i: int) -> list[LocatedHull]:
    """The sets among the restrictions of a requirement, with their places."""
    sets = [(k, part) for k, part in enumerate(one.where) if isinstance(part, Where)]
    return [(part.activation_hull, ("require", i, "where", k, "activation_hull")) for k, part in sets]


def _engine(section: Engine) -> EngineOptions:
    seconds, memory = section.budget.seconds, section.budget.memory_mb
    return EngineOptions(
        methods=section.methods,
        seconds=None if seconds is None else float(seconds),
        memory_mb=None if memory is None else float(memory),
        seed=section.seed,
        workers=section.workers,
    )


def _extrapolate(entries: Sequence[str | Emit], folder: Path) -> Extrapolate | None:
    """What is asked of an extrapolation; of several entries the last one with options counts."""
    options = [one.extrapolation for one in entries if not isinstance(one, str)]
    if not options:
        return Extrapolate() if "extrapolation" in entries else None
    chosen = options[-1]
    loss = None if chosen.loss is None else float(chosen.loss)
    return Extrapolate(chosen.minimal, loss, folder / chosen.data if chosen.data else None)
