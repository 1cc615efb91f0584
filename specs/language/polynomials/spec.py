"""A spec.yaml about polynomials: read, checked, and compiled to sets that have to be empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

from specs.errors import SpecError
from specs.language.expressions.expression import Expression, ExpressionFault
from specs.language.expressions.tensor import Tensor
from specs.language.gates import Gates, read_gates
from specs.language.inputs.input_set import build_input_set
from specs.language.observations.refused import refuse_channels
from specs.language.polynomials.compile import PolynomialValue, compile_condition, compile_polynomial
from specs.language.polynomials.formula import All, Any, Condition, PolynomialFormula, cases_of, negated
from specs.language.schema.faults import validated
from specs.language.schema.polynomials import (
    ExtractAttack,
    Methods,
    PolynomialFile,
    PolynomialRequirement,
    PolynomialSolveFor,
)
from specs.language.text.decimals import show
from specs.language.text.faults import Faults
from specs.language.text.source import Source
from specs.language.text.textfile import read_text
from specs.language.text.yaml_tree import read_yaml
from specs.polynomial import Polynomial
from specs.polynomial_problem import PolynomialProblem
from specs.property import Severity
from specs.sets import InputSet
from specs.solved import grid_step


@dataclass(frozen=True)
class Unknown:
    """A parameter to be found: the largest (or smallest) value in [``lower``, ``upper``] with a proof."""

    name: str
    maximize: bool
    lower: Fraction
    upper: Fraction
    resolution: Fraction

    @property
    def step(self) -> Fraction:
        """Values that are tried are its multiples."""
        return grid_step(self.resolution)


@dataclass(frozen=True)
class PolynomialQuestion:
    """One requirement. ``unsafe`` has the parameter, if there is one, as the variable after the inputs.

    ``parameters`` are the values put in place of the file's ``$name``: it is a question about them.
    """

    id: str
    severity: Severity
    text: str
    where: tuple[str, ...]
    line: int
    inputs: InputSet
    unsafe: PolynomialFormula
    unknown: Unknown | None
    parameters: tuple[tuple[str, str], ...] = ()

    def problem(self, value: Fraction | None = None) -> PolynomialProblem:
        """The question as sets that have to be empty; ``value`` is the parameter's, if there is one."""
        formula = self.unsafe if value is None else _with(self.unsafe, self.inputs.size, value)
        lower, upper = self.inputs.lower, self.inputs.upper
        names = tuple(self.inputs.element(i) for i in range(self.inputs.size))
        return PolynomialProblem(
            names, cast(tuple[Fraction, ...], lower), cast(tuple[Fraction, ...], upper), cases_of(formula)
        )

    @property
    def region(self) -> str:
        """The set of inputs in words."""
        described = self.inputs.describe().removeprefix(f"{self.inputs.name}: ")
        return "{" + " and ".join([described, *(f"({condition})" for condition in self.where)]) + "}"


@dataclass(frozen=True)
class PolynomialSpec:
    """A specification without models."""

    name: str
    file: Path
    description: str
    questions: tuple[PolynomialQuestion, ...]
    methods: Methods
    extract: ExtractAttack
    seconds: float | None
    seed: int | None
    gates: Gates

    def describe(self) -> str:
        """The question in words: variables, requirements with their compiled size, what is solved for."""
        lines = [f"{self.name}: {self.description}" if self.description else self.name]
        lines.append(f"for all {self.questions[0].inputs.describe()}")
        for one in self.questions:
            lines.append(f"{one.id} ({one.severity}) has to hold: {one.text}")
            lines += [f"  where {condition}" for condition in one.where]
            if one.unknown is not None:
                which = "largest" if one.unknown.maximize else "smallest"
                ends = f"[{show(one.unknown.lower)}, {show(one.unknown.upper)}]"
                lines.append(f"  for the {which} {one.unknown.name} in {ends}, within {show(one.unknown.resolution)}")
            cases = cases_of(one.unsafe)
            degree = max((p.degree for case in cases for p in case.all), default=0)
            lines.append(f"  compiled to {len(cases)} set(s) that have to be empty, of degree {degree}")
        return "\n".join([*lines, *self.gates.describe()])

    def __getitem__(self, id: str) -> PolynomialQuestion:
        for question in self.questions:
            if question.id == id:
                return question
        raise KeyError(id)


def is_polynomial_spec(path: Path) -> bool:
    """Whether a spec.yaml names no model at all. Files that cannot be read are left to the reader of the others."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        node = YAML(typ="safe", pure=True).compose(read_text(path))
    except (SpecError, YAMLError, ValueError, RecursionError):
        return False
    if node is None or node.id != "mapping":
        return False
    keys = {key.value for key, _ in node.value if isinstance(key.value, str)}
    return "inputs" in keys and "require" in keys and not {"models", "overseers"} & keys


def read_polynomial_spec(path: Path, parameters: Mapping[str, str]) -> PolynomialSpec:
    """The specification in a spec.yaml without models. Raises ``SpecError`` with every fault that can be told."""
    text = read_text(path)
    document = read_yaml(text, path, parameters)
    faults = Faults(path)
    section = validated(PolynomialFile, document, faults)
    given = tuple(sorted((name, value) for name, value in parameters.items() if name != "MODEL"))
    return _Reader(path, Source(text.split("\n"), document, faults), section, given).spec()


class _Reader:
    def __init__(
        self, path: Path, source: Source, section: PolynomialFile, parameters: tuple[tuple[str, str], ...]
    ) -> None:
        self.path, self.source, self.section, self.parameters = path, source, section, parameters

    def spec(self) -> PolynomialSpec:
        section, source = self.section, self.source
        refuse_channels(source, {}, section.inputs, "for polynomials")
        name, given = source.only("inputs", section.inputs)
        inputs = build_input_set(name, given, source.document, source.faults, self.path.parent)
        source.faults.raise_if_any()
        assert inputs is not None
        if inputs.is_normalized:
            source.fault("there is no model that would consume normalised values", "inputs", name, "normalize")
        if inputs.ball is not None:
            message = "balls are not supported for polynomials; state the distance as a condition in `where`"
            source.fault(message, "inputs", name, "ball")
        if None in inputs.lower or None in inputs.upper:
            source.fault("every variable of a polynomial needs a lower and an upper bound", "inputs", name)
        if not all(_is_handy(end) for end in (*inputs.lower, *inputs.upper) if end is not None):
            source.fault(f"has bounds {_UNWIELDY}", "inputs", name)
        source.check_names(("inputs", name), *(("let", let) for let in section.let))
        source.faults.raise_if_any()
        linear = source.parse_all(given.linear, "inputs", name, "linear")
        questions = [self._question(i, one, inputs, linear) for i, one in enumerate(section.require)]
        ids = [one.id for one in section.require]
        for i, id in enumerate(ids):
            if id in ids[:i]:
                source.fault(f"the id {id!r} is used twice", "require", i, "id")
        solved = {(one.id, key): two.maximize for one in section.require for key, two in one.solve_for.items()}
        gates = read_gates(section, solved, source)
        source.faults.raise_if_any()
        seconds = section.engine.budget.seconds
        return PolynomialSpec(
            section.name,
            self.path,
            section.description,
            tuple(one for one in questions if one is not None),
            section.engine.methods,
            section.engine.extract_attack,
            None if seconds is None else float(seconds),
            section.engine.seed,
            gates,
        )

    def _question(
        self,
        i: int,
        one: PolynomialRequirement,
        inputs: InputSet,
        linear: tuple[tuple[Expression, tuple[str | int, ...]], ...],
    ) -> PolynomialQuestion | None:
        source, path = self.source, ("require", i, "assert")
        before = len(source.faults.found)
        unknown = self._unknown(i, one.solve_for)
        if unknown is not None:
            lets = [("let", let) for let in self.section.let]
            source.check_names(("inputs", inputs.name), *lets, ("require", i, "solve_for", unknown.name))
            if len(source.faults.found) > before:
                return None
        names = self._names(inputs, unknown)
        where = source.parse_all(one.where, "require", i, "where")
        domain = [self._condition(part, names, *own) for part, own in (*linear, *where)]
        expression = source.parse(one.assert_, *path)
        condition = None if expression is None else self._condition(expression, names, *path)
        if condition is None or expression is None or len(source.faults.found) > before:
            return None
        parts = [part for part in domain if part is not None]
        unsafe = All((*parts, negated(condition)))
        try:
            cases = cases_of(unsafe)
        except OverflowError as error:
            source.fault(str(error), *path)
            return None
        if not all(_is_handy(value) for case in cases for p in case.all for value in p.terms.values()):
            source.fault(f"comes to coefficients {_UNWIELDY}", *path)
            return None
        line = source.document.position(path)[0]
        texts = tuple(part.text for part, _ in where)
        return PolynomialQuestion(
            one.id, one.severity, expression.text, texts, line, inputs, unsafe, unknown, self.parameters
        )

    def _names(self, inputs: InputSet, unknown: Unknown | None) -> dict[str, PolynomialValue]:
        """The inputs, the parameter, and every ``let``; faults are noted."""
        variables = [Polynomial.variable(k) for k in range(inputs.size)]
        names: dict[str, PolynomialValue] = {inputs.name: Tensor.of(variables, inputs.shape, inputs.names)}
        if unknown is not None:
            names[unknown.name] = Polynomial.variable(inputs.size)
        for name, text in self.section.let.items():
            expression = self.source.parse(text, "let", name)
            names[name] = Polynomial.constant(0)
            if expression is not None:
                try:
                    names[name] = compile_polynomial(expression, names)
                except ExpressionFault as fault:
                    self.source.expression_fault(fault, "let", name)
        return names

    def _condition(
        self, expression: Expression, names: Mapping[str, PolynomialValue], *path: str | int
    ) -> PolynomialFormula | None:
        try:
            return compile_condition(expression, names)
        except ExpressionFault as fault:
            self.source.expression_fault(fault, *path)
            return None

    def _unknown(self, i: int, given: Mapping[str, PolynomialSolveFor]) -> Unknown | None:
        if len(given) > 1:
            self.source.fault("one parameter at a time", "require", i, "solve_for")
        for name, wanted in given.items():
            if wanted.maximize == wanted.minimize:
                self.source.fault("say either maximize: true or minimize: true", "require", i, "solve_for", name)
            low, high = wanted.range
            if not (_is_handy(low) and _is_handy(high)):
                self.source.fault(f"has ends {_UNWIELDY}", "require", i, "solve_for", name, "range")
            return Unknown(name, wanted.maximize, low, high, wanted.resolution)
        return None


_UNWIELDY = "beyond 1e300 or of more than 1000 digits: no evidence would hold them"


def _is_handy(value: Fraction) -> bool:
    """Whether a number is a float's size, and short enough for files of evidence."""
    return abs(value) <= 10**300 and value.denominator < 10**1000 and abs(value.numerator) < 10**1000


def _with(formula: PolynomialFormula, variable: int, value: Fraction) -> PolynomialFormula:
    """The formula with a number in the place of a variable."""
    if isinstance(formula, Condition):
        return Condition(formula.polynomial.substituted({variable: Polynomial.constant(value)}), formula.kind)
    parts = tuple(_with(part, variable, value) for part in formula.parts)
    return All(parts) if isinstance(formula, All) else Any(parts)
