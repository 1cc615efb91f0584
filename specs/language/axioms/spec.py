"""A spec.yaml about an overseer known by axioms and answers: read and checked."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

from specs.graph import Graph
from specs.language.axioms.axioms import AxiomSet, with_axiom
from specs.language.expressions.expression import Expression, ExpressionFault
from specs.language.gates import Gates, read_gates
from specs.language.inputs.input_set import build_input_set
from specs.language.observations.refused import refuse_channels
from specs.language.schema.axioms import AxiomFile, AxiomOverseer
from specs.language.schema.faults import validated
from specs.language.text.faults import Faults
from specs.language.text.source import Source
from specs.language.text.textfile import read_text
from specs.language.text.yaml_tree import read_yaml
from specs.property import Severity
from specs.sets import InputSet

Point = tuple[Fraction, ...]


@dataclass(frozen=True)
class AxiomQuestion:
    """``g(x) >= threshold`` for every x (``>`` if ``strict``), or of the target's outputs if ``through`` it."""

    id: str
    severity: Severity
    text: str
    line: int
    threshold: Fraction
    strict: bool
    through: bool


@dataclass(frozen=True)
class AxiomSpec:
    """``python`` is FILE:FUNCTION with the file's whole path; ``target`` is None where no network stands in front."""

    name: str
    file: Path
    description: str
    overseer: str
    python: str
    queries: int
    ask_seconds: float | None
    axioms: AxiomSet
    inputs: InputSet
    target: str
    target_file: Path | None
    graph: Graph | None
    questions: tuple[AxiomQuestion, ...]
    seconds: float | None
    gates: Gates

    @property
    def box(self) -> tuple[Point, Point]:
        return cast(Point, self.inputs.lower), cast(Point, self.inputs.upper)

    def describe(self) -> str:
        """The question in words."""
        lines = [f"{self.name}: {self.description}" if self.description else self.name]
        lines.append(f"{self.overseer} is any function of {self.axioms.dimension} numbers with")
        lines += [f"  {text}" for text in self.axioms.texts]
        lines.append(f"  and the answers of {Path(self.python).name} to at most {self.queries} questions")
        lines.append(f"for all {self.inputs.describe()}")
        lines += [f"{one.id} ({one.severity}) has to hold: {one.text}" for one in self.questions]
        lines += self.gates.describe()
        return "\n".join(lines)


def read_axiom_spec(
    path: Path, model: Path | None, parameters: Mapping[str, str], load: Callable[..., Graph]
) -> AxiomSpec:
    """The specification; nothing of the overseer is executed. Raises ``SpecError`` or ``ModelError``."""
    given = {**parameters, "MODEL": str(model)} if model is not None else dict(parameters)
    text = read_text(path)
    document = read_yaml(text, path, given)
    faults = Faults(path)
    section = validated(AxiomFile, document, faults)
    source = Source(text.split("\n"), document, faults)
    overseer, judge = source.only("overseers", section.overseers)
    refuse_channels(source, section.models, section.inputs, "beside axioms")
    variable, given_input = source.only("inputs", section.inputs)
    source.check_names(("overseers", overseer), ("inputs", variable), *(("models", name) for name in section.models))
    inputs = build_input_set(variable, given_input, document, faults, path.parent)
    faults.raise_if_any()
    assert inputs is not None
    if inputs.is_normalized or inputs.ball is not None or inputs.linear or None in (*inputs.lower, *inputs.upper):
        source.fault("axioms are about a bounded box in the units of the network", "inputs", variable)
    for key in sorted(given_input.model_fields_set & {"inject", "natural", "points"}):
        source.fault("axioms are about a box of inputs of the network; remove this", "inputs", variable, key)
    target, file, graph = _target(source, section, model, path.parent, load, inputs)
    faults.raise_if_any()
    through = graph is not None
    axioms = _axioms(source, overseer, judge, graph.output_size if graph is not None else inputs.size)
    questions = []
    for i, one in enumerate(section.require):
        where = ("require", i, "assert")
        expression = source.parse(one.assert_, *where)
        try:
            if expression is not None:
                threshold, strict = _assertion(expression, overseer, target, variable, through)
                line = document.position(where)[0]
                questions.append(AxiomQuestion(one.id, one.severity, expression.text, line, threshold, strict, through))
        except ExpressionFault as fault:
            source.expression_fault(fault, *where)
    python = _python(source, overseer, judge, path.parent)
    gates = read_gates(section, {}, source)
    faults.raise_if_any()
    seconds, asking = section.engine.budget.seconds, judge.budget.seconds
    return AxiomSpec(
        section.name,
        path,
        section.description,
        overseer,
        python,
        judge.budget.queries,
        None if asking is None else float(asking),
        axioms,
        inputs,
        target,
        file,
        graph,
        tuple(questions),
        None if seconds is None else float(seconds),
        gates,
    )


def _target(
    source: Source, section: AxiomFile, model: Path | None, folder: Path, load: Callable[..., Graph], inputs: InputSet
) -> tuple[str, Path | None, Graph | None]:
    if not section.models:
        return "", None, None
    name, one = source.only("models", section.models)
    file = Path(one.path)
    file = model if model is not None else folder / file
    graph = load(file)
    if graph.input_size != inputs.size:
        source.fault(
            f"has {inputs.size} elements, but the model takes {graph.input_size}", "inputs", inputs.name, "shape"
        )
    return name, file, graph


def _axioms(source: Source, overseer: str, judge: AxiomOverseer, dimension: int) -> AxiomSet:
    found = AxiomSet(dimension)
    for i, text in enumerate(judge.axioms):
        where = ("overseers", overseer, "axioms", i)
        expression = source.parse(text, *where)
        try:
            found = with_axiom(found, expression, overseer) if expression is not None else found
        except ExpressionFault as fault:
            source.expression_fault(fault, *where)
    if found.lipschitz is None and found.lower is None:
        source.fault("neither a Lipschitz constant nor a lower bound: answers prove nothing", "overseers", overseer)
    return found


def _assertion(
    expression: Expression, overseer: str, target: str, variable: str, through: bool
) -> tuple[Fraction, bool]:
    """The threshold, and whether it has to be exceeded."""
    wanted = f"{overseer}({target}({variable}))" if through else f"{overseer}({variable})"
    tree = expression.tree
    if isinstance(tree, ast.Compare) and len(tree.ops) == 1:
        op, sides = tree.ops[0], (tree.left, tree.comparators[0])
        above = isinstance(op, (ast.GtE, ast.Gt))
        if isinstance(op, (ast.GtE, ast.Gt, ast.LtE, ast.Lt)):
            term, bound = sides if above else sides[::-1]
            value = _number(expression, bound)
            if value is not None and ast.unparse(term) == wanted:
                return value, isinstance(op, (ast.Gt, ast.Lt))
    raise ExpressionFault(f"with axioms only {wanted} >= c (or >) can be asserted", 0)


def _number(expression: Expression, node: ast.expr) -> Fraction | None:
    if isinstance(node, ast.Constant):
        return expression.number(node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _number(expression, node.operand)
        return None if value is None else -value
    return None


def _python(source: Source, overseer: str, judge: AxiomOverseer, folder: Path) -> str:
    name, colon, function = judge.python.rpartition(":")
    file = folder / name
    if not colon or not function.isidentifier() or not file.is_file():
        source.fault(
            f"{judge.python!r} is no FILE.py:FUNCTION of a file that is there", "overseers", overseer, "python"
        )
    return f"{file}:{function}"
