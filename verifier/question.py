"""What was asked: a model and a specification, read into the requirements that have to be decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from specs.errors import SpecError
from specs.language.vnnlib import read_vnnlib
from specs.language.vnnlib_compile import compile_vnnlib
from specs.loading import load_model
from specs.problem import Problem
from verifier.files import is_model, is_vnnlib, is_yaml, stem
from verifier.report.words import property_in_words, set_in_words


@dataclass(frozen=True)
class Requirement:
    """One thing that has to hold. ``region`` and ``promise`` are the set and the property in words."""

    id: str
    severity: str
    problem: Problem
    region: str
    promise: str
    line: int = 0
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()

    @property
    def claim(self) -> str:
        return f"FOR ALL x IN {self.region}: {self.promise}"


@dataclass(frozen=True)
class Question:
    """``query`` is the VNN-LIB file when there is one. The engine's settings are None where nothing was said."""

    model: Path
    spec: Path
    query: Path | None
    requirements: tuple[Requirement, ...]
    seconds_each: float | None = None
    seed: int | None = None
    workers: int | None = None
    methods: tuple[str, ...] = ()


def read_question(model: Path | None, spec: Path, parameters: Mapping[str, str]) -> Question:
    """The question in the files. Raises ``SpecError`` or ``ModelError``; ``model`` is None when the spec names it."""
    if is_vnnlib(spec):
        if model is None:
            raise SpecError("a VNN-LIB query names no model: say certify MODEL SPEC", spec)
        if parameters:
            raise SpecError(f"a VNN-LIB query has no parameters ({', '.join(sorted(parameters))})", spec)
        return _vnnlib(model, spec)
    if is_yaml(spec):
        from verifier.question_yaml import read_yaml_question

        return read_yaml_question(model, spec, parameters)
    if is_model(spec):
        raise SpecError("is a model, not a specification: say certify MODEL SPEC", spec)
    raise SpecError("is no specification by its name; known are .yaml, .yml, .vnnlib and .vnnlib.gz", spec)


def _vnnlib(model: Path, spec: Path) -> Question:
    query = read_vnnlib(spec)
    problem = compile_vnnlib(query, load_model(model))
    promise = property_in_words(problem) or f"the constraints of {spec.name} are not satisfied"
    requirement = Requirement(stem(spec), "malign", problem, set_in_words(problem), promise)
    return Question(model, spec, spec, (requirement,))
