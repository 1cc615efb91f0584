"""spec.yaml: read, checked, and compiled for its network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from specs.errors import SpecError
from specs.graph import Graph
from specs.language.compile_spec import Expressions, SpecCompiler
from specs.language.faults import Faults
from specs.language.input_set import build_input_set
from specs.language.schema import Engine, Input, Model, SpecFile
from specs.language.schema_faults import add_faults
from specs.language.source import Source
from specs.language.spec import EngineOptions, Spec
from specs.language.textfile import read_text
from specs.language.yaml_tree import Document, YamlPath, read_yaml
from specs.sets import InputSet


def read_spec(path: Path, model: Path | None, parameters: Mapping[str, str], load: Callable[..., Graph]) -> Spec:
    """The specification in a spec.yaml, compiled for its network.

    ``model`` is the value of ``$MODEL`` and replaces the file's own model path; ``load(path, **options)`` reads it.
    Numbers are exact decimals. Sets and expressions are in raw units; a problem is about what the model consumes, and
    the map between the two is exact. Raises ``SpecError`` with every fault that can be told at once, or ``ModelError``.
    """
    given = {**parameters, "MODEL": str(model)} if model is not None else dict(parameters)
    text = read_text(path)
    document = read_yaml(text, path, given)
    faults = Faults(path)
    if not isinstance(document.data, dict):
        raise SpecError('expected keys and values, starting with certify: "1.0"', path, 1)
    section = _validated(document, faults)
    source = Source(text.split("\n"), document, faults)
    model_name, model_section = source.only("models", section.models)
    input_name, input_section = source.only("inputs", section.inputs)
    source.check_names(("models", model_name), ("inputs", input_name), *(("let", let) for let in section.let))
    input_set = build_input_set(input_name, input_section, document, faults, path.parent)
    expressions = _parse(source, section, input_name, input_section)
    faults.raise_if_any()
    if input_set is None:
        raise AssertionError("an input set is missing although nothing is wrong with it")
    model_file = path.parent / model_section.path if model is None else model
    graph = _load(model_file, model_section, input_set, source, load, ("models", model_name))
    compiler = SpecCompiler(source, expressions, input_set, model_name, model_section.output_names, graph)
    requirements = compiler.requirements(section.require)
    faults.raise_if_any()
    return Spec(
        name=section.name,
        file=path,
        model_file=model_file,
        graph=graph,
        requirements=requirements,
        description=section.description,
        input_set=input_set,
        output_names=model_section.output_names,
        engine=_engine(section.engine),
        emit=section.emit,
        require_class=MappingProxyType(dict(section.gate.require_class)),
        parameters=MappingProxyType(dict(parameters)),
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


def _parse(source: Source, section: SpecFile, input_name: str, given: Input) -> Expressions:
    """Every expression of the file, parsed; faults go to ``source``."""
    linear = source.parse_all(given.linear, "inputs", input_name, "linear")
    lets = {name: source.parse(text, "let", name) for name, text in section.let.items()}
    asserts = [source.parse(one.assert_, "require", i, "assert") for i, one in enumerate(section.require)]
    where = [source.parse_all(one.where, "require", i, "where") for i, one in enumerate(section.require)]
    ids = [one.id for one in section.require]
    for i, name in enumerate(ids):
        if name in ids[:i]:
            source.fault(f"the id {name!r} is used twice", "require", i, "id")
    return Expressions(linear, lets, asserts, where)


def _load(
    file: Path, section: Model, inputs: InputSet, source: Source, load: Callable[..., Graph], path: YamlPath
) -> Graph:
    """The network, after checking its hash, its name, and that its sizes fit the specification."""
    options: dict[str, Any] = {}
    if not file.name.lower().removesuffix(".gz").endswith(".onnx"):
        options = {"arch": _plain(section.arch), "input_shape": inputs.shape} if section.arch is not None else {}
    elif section.arch is not None:
        source.fault("an ONNX file has its architecture inside; remove arch", *path, "arch")
    if section.sha256 and file.is_file():
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != section.sha256:
            source.fault(f"{file} has the hash {found}: it is another model than the one meant", *path, "sha256")
    source.faults.raise_if_any()
    graph = load(file, **options)
    if graph.input_size != inputs.size:
        shapes = ", ".join(str(list(graph.by_name[name].shape)) for name in graph.inputs)
        source.fault(
            f"has {inputs.size} elements, but the model takes {graph.input_size} (shape {shapes})",
            *("inputs", inputs.name, "shape"),
        )
    if section.output_names and len(section.output_names) != graph.output_size:
        source.fault(
            f"names {len(section.output_names)} outputs, but the model has {graph.output_size}", *path, "output_names"
        )
    source.faults.raise_if_any()
    return graph


def _engine(section: Engine) -> EngineOptions:
    seconds, memory = section.budget.seconds, section.budget.memory_mb
    return EngineOptions(
        methods=section.methods,
        seconds=None if seconds is None else float(seconds),
        memory_mb=None if memory is None else float(memory),
        seed=section.seed,
        workers=section.workers,
    )


def _plain(value: Any) -> Any:
    """Plain data without exact decimals, for loaders."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return float(value) if isinstance(value, Fraction) else value
