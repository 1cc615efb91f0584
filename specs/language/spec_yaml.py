"""spec.yaml: read, checked, and compiled for its networks."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from specs.errors import SpecError
from specs.graph import Graph
from specs.language.assumptions import read_assumptions, with_sensitivities
from specs.language.compile_spec import Expressions, SpecCompiler, coupling_of
from specs.language.composition import Composition
from specs.language.expression import LIPSCHITZ
from specs.language.faults import Faults
from specs.language.gates import read_gates
from specs.language.input_set import build_input_set
from specs.language.module_files import ModuleFile, ModuleReader
from specs.language.networks import OneNetwork, Poser
from specs.language.schema import Engine, SpecFile
from specs.language.schema_faults import add_faults
from specs.language.solve_for import Solving, read_solved, starting_values, with_values
from specs.language.source import Source
from specs.language.spec import EngineOptions, Spec
from specs.language.textfile import read_text
from specs.language.yaml_tree import Document, read_yaml
from specs.sets import InputSet


def read_spec(
    path: Path, model: Path | None, parameters: Mapping[str, str], load: Callable[..., Graph], only: str = ""
) -> Spec:
    """The specification in a spec.yaml, compiled for its networks.

    ``model`` is the value of ``$MODEL``, and replaces the model's own path where there is but one network;
    ``load(path, **options)`` reads a model file. ``only`` is the id of the only requirement that is wanted, if there is
    one. Where ``parameters`` has no value for what a requirement solves for, it is compiled at the range's easy end.
    Numbers are exact decimals. Sets and expressions are in raw units; a problem is about what the model consumes, and
    the map between the two is exact. Raises ``SpecError`` with every fault that can be told at once, or ``ModelError``.
    """
    given = {**parameters, "MODEL": str(model)} if model is not None else dict(parameters)
    text = read_text(path)
    starts = starting_values(text, given)
    document = read_yaml(text, path, {**starts, **given}, starts)
    faults = Faults(path)
    if not isinstance(document.data, dict):
        raise SpecError('expected keys and values, starting with certify: "1.0"', path, 1)
    section = _validated(document, faults)
    source = Source(text.split("\n"), document, faults)
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
    reader = ModuleReader(source, path.parent, model, load)
    files = reader.files(section)
    faults.raise_if_any()
    if len(inputs) < len(built):
        raise AssertionError("an input set is missing although nothing is wrong with it")
    poser: Poser
    if _is_plain(files, inputs, expressions):
        poser = OneNetwork(reader.only(files[0], section, inputs[0]), inputs[0])
        groups: Sequence[frozenset[int]] = (frozenset((0,)),)
    else:
        coupling = coupling_of(inputs, expressions)
        poser, groups = Composition(reader.all(files, section), inputs, coupling), coupling.groups
    requirements = SpecCompiler(source, expressions, poser, groups).requirements(section.require, only)
    requirements = Solving(source, expressions, poser, solved).attached(requirements, section)
    requirements = with_sensitivities(requirements, reader.read)
    assumptions = read_assumptions(section, source)
    known = [(one.id, name) for one in section.require for name in one.solve_for]
    gates = read_gates(section.gate.min, section.gate.max, known, source)
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
        engine=_engine(section.engine),
        emit=section.emit,
        require_class=MappingProxyType(dict(section.gate.require_class)),
        gates=gates,
        assumptions=assumptions,
        parameters=MappingProxyType(dict(parameters)),
    )


def _is_plain(files: Sequence[ModuleFile], inputs: Sequence[InputSet], expressions: Expressions) -> bool:
    """Whether all that is ever called is one model, on the one input as it is: then there is nothing to compose."""
    if len(files) != 1 or len(inputs) != 1 or files[0].kind != "model":
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


def _validated(document: Document, faults: Faults) -> SpecFile:
    found: ValidationError
    try:
        return SpecFile.model_validate(document.data)
    except ValidationError as error:
        found = error
    add_faults(found, SpecFile, document, faults)
    faults.raise_if_any()
    raise found


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
    return Expressions(linear, lets, asserts, where)


def _engine(section: Engine) -> EngineOptions:
    seconds, memory = section.budget.seconds, section.budget.memory_mb
    return EngineOptions(
        methods=section.methods,
        seconds=None if seconds is None else float(seconds),
        memory_mb=None if memory is None else float(memory),
        seed=section.seed,
        workers=section.workers,
    )
