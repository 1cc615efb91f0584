"""The surrogates of a spec.yaml: which program they are learned from, on which questions."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from specs.graph import Graph
from specs.language.expressions.expression import Expression, ExpressionFault, parse_expression
from specs.language.rates.part import has_surrogate
from specs.language.rates.question import Drawn, Evaluated, Program
from specs.language.rates.spec import StatisticalReader
from specs.language.schema.faults import validated
from specs.language.schema.file import Overseer
from specs.language.schema.statistics import StatisticalFile
from specs.language.schema.surrogate import Selection, Surrogate
from specs.language.solve_for import starting_values
from specs.language.text.faults import Faults
from specs.language.text.source import Source
from specs.language.text.suggest import did_you_mean
from specs.language.text.textfile import read_text
from specs.language.text.yaml_tree import Document, read_yaml
from specs.sets import InputSet

_KEPT = ("certify", "name", "description", "models", "overseers", "inputs", "let", "require", "engine")


class _File(StatisticalFile):
    """What a surrogate needs of a spec.yaml; its requirements are only searched for calls."""

    require: tuple[Any, ...] = ()


@dataclass(frozen=True)
class SurrogateQuestion:
    """A network ``arch`` that is to be learned from ``queries`` answers of ``program``.

    A question is a point of the box of ``inputs`` and what is ``evaluated`` there: what the call ``text`` shows.
    ``models`` are the files of the networks behind that.
    """

    name: str
    text: str
    program: Program
    arch: tuple[int, ...]
    queries: int
    select: tuple[Selection, ...]
    inputs: InputSet
    evaluated: Evaluated
    models: tuple[tuple[str, Path], ...]
    seed: int

    @property
    def lower(self) -> np.ndarray:
        return np.array([float(v) for v in self.inputs.lower if v is not None])

    @property
    def upper(self) -> np.ndarray:
        return np.array([float(v) for v in self.inputs.upper if v is not None])

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many numbers each thing has that is shown, the point first."""
        return self.inputs.size, *map(len, self.evaluated.vectors)

    def shown(self, x: np.ndarray) -> list[list[float]]:
        """What is shown at a point (d,), the point first; numbers that are not finite where networks give such."""
        return [x.tolist(), *self.evaluated(x)]

    def describe(self) -> str:
        """In words."""
        return (
            f"{self.name} ({'-'.join(map(str, self.arch))}, ReLU) is learned from {self.queries} of the "
            f"{self.program.budget.queries} questions that {self.program.name} may be asked, as {self.text}: "
            f"{', '.join(self.select)}\n  what is proved of {self.name} is about it, and not about {self.program.name}"
        )


def read_surrogates(
    path: Path, model: Path | None, parameters: Mapping[str, str], load: Callable[..., Graph]
) -> tuple[SurrogateQuestion, ...]:
    """What is to be learned, none where nothing is. Raises ``SpecError`` or ``ModelError``."""
    given = {**parameters, "MODEL": str(model)} if model is not None else dict(parameters)
    text = read_text(path)
    starts = starting_values(text, given)
    whole = read_yaml(text, path, {**starts, **given}, starts)
    if not isinstance(whole.data, dict) or not has_surrogate(whole.data):
        return ()
    data = {key: value for key, value in whole.data.items() if key in _KEPT}
    document = Document(data, whole.positions, whole.key_positions, whole.uses)
    faults = Faults(path)
    section = validated(_File, document, faults)
    source = Source(text.split("\n"), document, faults)
    reader = _Reader(source, section, StatisticalReader(source, section, path.parent, model, load))
    found = [reader.question(name, one) for name, one in section.overseers.items() if isinstance(one, Overseer)]
    faults.raise_if_any()
    return tuple(one for one in found if one is not None)


class _Reader:
    def __init__(self, source: Source, section: _File, reader: StatisticalReader) -> None:
        self.source, self.section, self.reader = source, section, reader

    def question(self, name: str, overseer: Overseer) -> SurrogateQuestion | None:
        surrogate, path = overseer.surrogate, ("overseers", name, "surrogate")
        if surrogate is None:
            return None
        before = len(self.source.faults.found)
        if overseer.network is not None or overseer.symbolic is not None:
            self.source.fault("is a surrogate and something else as well; give one of them", "overseers", name)
        if surrogate.of not in self.reader.programs:
            hint = did_you_mean(surrogate.of, self.reader.programs)
            self.source.fault(f"{surrogate.of!r} is no program among the overseers{hint}", *path, "of")
            return None
        program = self.reader.program(surrogate.of)
        self._check_budget(surrogate, program, *path)
        found = self._shown(name, overseer)
        if found is None or len(self.source.faults.found) > before:
            return None
        text, inputs, evaluated = found
        size = inputs.size + sum(len(terms) for terms in evaluated.vectors)
        if size != surrogate.arch[0]:
            self.source.fault(f"starts with {surrogate.arch[0]}, but {text} shows {size} numbers", *path, "arch")
        return SurrogateQuestion(
            name,
            text,
            program,
            surrogate.arch,
            surrogate.queries,
            surrogate.select,
            inputs,
            evaluated,
            tuple((f"{module.kind} {module.name}", module.file) for module in self.reader.networks),
            self.section.engine.seed or 0,
        )

    def _check_budget(self, surrogate: Surrogate, program: Program, *path: str | int) -> None:
        most = program.budget.queries
        if surrogate.queries > most:
            self.source.fault(f"more than the {most} that {program.name} may be asked", *path, "queries")
            return
        for i, one in enumerate(self.section.require):
            terms = one.get("statistical") if isinstance(one, dict) else None
            audit = terms.get("queries", 0) if isinstance(terms, dict) else 0
            asks = isinstance(terms, dict) and any(name == program.name for name, _ in _calls(terms.get("event")))
            if asks and isinstance(audit, int) and surrogate.queries + audit > most:
                why = f"{audit} beside {surrogate.queries} to learn from are more than the {most} of the budget"
                self.source.fault(why, "require", i, "statistical", "queries")

    def _shown(self, name: str, overseer: Overseer) -> tuple[str, InputSet, Evaluated] | None:
        """What all calls of the surrogate show it: in words, the input, and what networks make of it."""
        where = ("overseers", name, "surrogate")
        calls = dict.fromkeys(call for text in self._texts() for called, call in _calls(text) if called == name)
        texts = list(calls) or [f"{name}({', '.join(overseer.sees)})"]
        if len(texts) > 1:
            told = "is called in several ways, and can be learned in one only: "
            self.source.fault(told + " and ".join(texts), *where)
            return None
        tree = parse_expression(texts[0]).tree
        assert isinstance(tree, ast.Call)
        first = tree.args[0] if tree.args else None
        inputs = self.reader.inputs.get(first.id) if isinstance(first, ast.Name) else None
        if inputs is None:
            told = "has to be called with an input as the first thing it is shown"
            self.source.fault(f"{told}, as in {name}({next(iter(self.reader.inputs))})", *where)
            return None
        if inputs.ball or inputs.points or inputs.role or None in (*inputs.lower, *inputs.upper):
            self.source.fault(f"{inputs.name} is no bounded box; questions to learn from are drawn from boxes", *where)
            return None
        try:
            parts: list[Expression] = [parse_expression(ast.unparse(part)) for part in tree.args[1:]]
            return texts[0], inputs, self.reader.evaluated(parts, Drawn((inputs,)))
        except ExpressionFault as fault:
            self.source.fault(f"{texts[0]}: {fault.message}", *where)
            return None

    def _texts(self) -> Iterator[object]:
        """All expressions of the file."""
        yield from self.section.let.values()
        for one in self.section.require:
            if isinstance(one, dict):
                where = one.get("where", ())
                yield from (one.get("assert"), *(where if isinstance(where, list) else [where]))
                terms = one.get("statistical")
                yield terms.get("event") if isinstance(terms, dict) else None


def _calls(text: object) -> Iterator[tuple[str, str]]:
    """What is called in an expression, and the calls in one way of writing; none where it cannot be read."""
    try:
        tree = parse_expression(text).tree if isinstance(text, str) else None
    except ExpressionFault:
        tree = None
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, ast.unparse(node)
