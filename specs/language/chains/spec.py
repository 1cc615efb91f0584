"""A spec.yaml about an amplification chain: read, checked, traced, and made into ordinary specifications.

For step k with the model M_k, let A_k(q) be its ``amplify`` with the models of the steps before, and T_k(q) the same
with what these models stand for: T_1 = A_1 is the core itself. Two things are to be shown of each step: every
sub-question lies in the questions of the model it is put to (decided here, in rationals), and ``|M_k - A_k| <= tol``
(an ordinary requirement). Then

    |M_k - T_k| <= E_k = tol + (by how much A_k can change where answers of M_j change by E_j).

Sources: Christiano, Shlegeris and Amodei, *Supervising strong learners by amplifying weak experts*, 2018.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from pathlib import Path

from specs.core import Core, read_core
from specs.core.forms import Affine, Tape
from specs.core.interpreter import Interpreter
from specs.core.program import Program
from specs.core.values import Data
from specs.errors import SpecError
from specs.language.expressions.compile import FUNCTIONS
from specs.language.expressions.expression import Expression, ExpressionFault, parse_expression
from specs.language.gates import Gates, read_gates
from specs.language.observations.refused import refuse_channels
from specs.language.schema.chain import ChainFile, ChainRequirement, Step
from specs.language.schema.faults import validated
from specs.language.schema.inputs import Input
from specs.language.text.faults import Faults
from specs.language.text.source import Source
from specs.language.text.suggest import did_you_mean
from specs.language.text.textfile import read_text
from specs.language.text.yaml_tree import read_yaml

Numbers = tuple[Fraction, ...]
WHOLE = "chain"
"""The id of what is said about a chain as a whole."""


@dataclass(frozen=True)
class Call:
    """A model put to a sub-question: as written, and as linear forms in the question."""

    model: str
    text: str
    question: tuple[Affine, ...]


@dataclass(frozen=True)
class ChainStep:
    """A step, traced. ``change`` maps bounds E_j of the models called to how much ``amplify`` can change by them."""

    id: str
    shape: tuple[int, ...]
    lower: Numbers
    upper: Numbers
    amplify: Expression
    file: Path
    tolerance: Fraction
    line: int
    calls: tuple[Call, ...]
    tape: Tape
    forms: tuple[Affine, ...]
    answers: tuple[tuple[int, str], ...]  # inputs of the tape that are answers, and whose

    def change(self, errors: Mapping[str, Fraction]) -> Fraction:
        """By how much what is amplified changes where every model's answers change by its error."""
        inputs = {atom: errors[model] for atom, model in self.answers}
        return max(self.tape.change(form, inputs) for form in self.forms)

    @property
    def lipschitz(self) -> Fraction:
        """How much one unit of error in all answers can become."""
        return self.change({model: Fraction(1) for _, model in self.answers})


@dataclass(frozen=True)
class Outside:
    """A question of ``step`` for which a sub-question is none that its model is for."""

    step: str
    text: str
    place: int
    value: Fraction
    question: Numbers

    def words(self) -> str:
        at = ", ".join(str(float(v)) for v in self.question)
        return (
            f"{self.step}.domain: {self.text} is asked about {float(self.value):.6g} at place {self.place}, outside "
            f"its questions, for the question ({at})"
        )


@dataclass(frozen=True)
class ChainSpec:
    """The chain; ``overseer`` is the name of the core in expressions, ``variable`` that of a question."""

    name: str
    file: Path
    description: str
    overseer: str
    core: Core
    variable: str
    steps: tuple[ChainStep, ...]
    joint: bool
    require: tuple[ChainRequirement, ...]
    seconds: float | None
    parameters: Mapping[str, str]
    gates: Gates

    def errors(self) -> dict[str, Fraction]:
        """E_k of every step, given that all is shown of every step."""
        found: dict[str, Fraction] = {}
        for step in self.steps:
            found[step.id] = step.tolerance + step.change(found)
        return found

    def outside(self) -> Outside | None:
        """A sub-question that leaves the domain of its model; None proves, in rationals, that there is none.

        Sub-questions are linear and questions lie in boxes, so that a corner decides.
        """
        domains = {step.id: step for step in self.steps}
        for step in self.steps:
            for call in step.calls:
                domain = domains[call.model]
                for place, (form, low, up) in enumerate(zip(call.question, domain.lower, domain.upper)):
                    for sign in (1, -1):
                        corner = list(step.lower)
                        for atom, c in form.terms:
                            corner[atom] = step.upper[atom] if c * sign > 0 else step.lower[atom]
                        value = form.constant + sum((c * corner[atom] for atom, c in form.terms), Fraction(0))
                        if (value > up) if sign > 0 else (value < low):
                            return Outside(step.id, call.text, place, value, tuple(corner))
        return None

    def describe(self) -> str:
        """The chain in words."""
        lines = [f"{self.name}: {self.description}" if self.description else self.name]
        lines.append(f"trusted core {self.overseer} ({self.core.name}), traced exactly, never executed")
        lines += [f"  | {line}" for line in self.core.listing.rstrip().split("\n")]
        errors = self.errors()
        for step in self.steps:
            lines.append(f"{step.id} ({step.file.name}): within {float(step.tolerance):.6g} of {step.amplify.text}")
            lines.append(
                f"  {len(step.lower)} numbers, {len(step.calls)} sub-question(s), errors grow by {step.lipschitz}: "
                f"within {float(errors[step.id]):.6g} of what the core says"
            )
        return "\n".join([*lines, *self.gates.describe()])


def read_chain_spec(path: Path, parameters: Mapping[str, str], files: Mapping[str, Path] | None = None) -> ChainSpec:
    """The chain in a spec.yaml. ``files`` are the core's (``""``) and the models' (by step), if they are elsewhere.

    There are no gates then: they may name files beside the specification.

    The core is parsed and never executed; models are not read. Raises ``SpecError``.
    """
    text = read_text(path)
    document = read_yaml(text, path, parameters)
    faults = Faults(path)
    section = validated(ChainFile, document, faults)
    source = Source(text.split("\n"), document, faults)
    overseer, core_section = source.only("overseers", section.overseers)
    refuse_channels(source, {}, section.inputs, "in chains")
    variable, _ = source.only("inputs", section.inputs)
    for key, name in (("core", section.chain.core), ("combine", section.chain.combine or section.chain.core)):
        if name != overseer:
            source.fault(f"{name!r} is no overseer{did_you_mean(name, [overseer])}", "chain", key)
    source.check_names(("overseers", overseer), ("inputs", variable))
    target = core_section.symbolic.python
    if files is not None:
        target = f"{files[''].name}:{target.rpartition(':')[2]}"
    try:
        core = read_core(target, path.parent if files is None else files[""].parent)
    except SpecError as error:
        source.fault(str(error), "overseers", overseer, "symbolic", "python")
        faults.raise_if_any()
        raise
    steps: list[ChainStep] = []
    for k, one in enumerate(section.chain.steps):
        where = ("chain", "steps", k, "amplify")
        file = path.parent / one.model if files is None else files[one.id]
        try:
            line = document.position(where)[0]
            steps.append(_Tracer(core, overseer, variable, steps, path).step(one, file, line))
        except ExpressionFault as fault:
            source.expression_fault(fault, *where)
            break
    faults.raise_if_any()
    last, given = steps[-1], section.inputs[variable]
    if [int(v) for v in given.shape] != list(last.shape):
        source.fault(f"the last step is about questions of shape {list(last.shape)}", "inputs", variable, "shape")
    _check_input(given, last, source, variable)
    claimed = core_section.symbolic.lipschitz
    for step in steps:
        if claimed is not None and step.answers and step.lipschitz > claimed.value and step.forms:
            told = f"errors grow by {step.lipschitz} in {step.id}, more than {claimed.value}"
            source.fault(told, "overseers", overseer, "symbolic", "lipschitz")
    gates = read_gates(section, {(WHOLE, "error"): False}, source, [WHOLE]) if files is None else Gates()
    faults.raise_if_any()
    seconds = section.engine.budget.seconds
    return ChainSpec(
        section.name,
        path,
        section.description,
        overseer,
        core,
        variable,
        tuple(steps),
        "joint" in section.chain.compose,
        section.require,
        None if seconds is None else float(seconds),
        dict(parameters),
        gates,
    )


def _check_input(given: Input, last: ChainStep, source: Source, variable: str) -> None:
    """What is claimed is about the questions of the last step: the input may not be another set, nor a larger one."""
    for key in sorted(given.model_fields_set - {"shape", "box"}):
        source.fault("a chain is about the questions of its last step: only shape and box", "inputs", variable, key)
    if given.box is None:
        return
    if given.box.data:
        source.fault("questions of a chain are bounded by numbers, not by data", "inputs", variable, "box", "data")
        return
    try:
        ends = [_ends(end, len(last.lower)) for end in (given.box.lo, given.box.hi)]
    except ExpressionFault as fault:
        source.fault(fault.message, "inputs", variable, "box")
        return
    if any(low < l or up > u for low, up, l, u in zip(*ends, last.lower, last.upper)):
        source.fault(f"{last.id} is for fewer questions than these", "inputs", variable, "box")


class _Tracer:
    """Traces what is amplified, with the answers of models as inputs of their own."""

    def __init__(self, core: Core, overseer: str, variable: str, before: Sequence[ChainStep], file: Path) -> None:
        self.core, self.overseer, self.variable, self.file = core, overseer, variable, file
        self.before = {step.id: step for step in before}

    def step(self, one: Step, file: Path, line: int) -> ChainStep:
        """Raises ``ExpressionFault``."""
        if one.id in self.before or one.id in (self.overseer, self.variable) or one.id in FUNCTIONS:
            raise ExpressionFault(f"the id {one.id!r} is taken; choose another")
        if any(side.denominator != 1 for side in one.questions.shape):
            raise ExpressionFault("the shape of its questions is not of whole numbers")
        shape = tuple(int(side) for side in one.questions.shape)
        size = prod(shape)
        if size != shape[-1]:
            raise ExpressionFault("questions of a chain are vectors")
        lower, upper = (_ends(end, size) for end in (one.questions.box.lo, one.questions.box.hi))
        if any(low > up for low, up in zip(lower, upper)):
            raise ExpressionFault("no question lies in the box of this step")
        expression = parse_expression(one.amplify)
        asked = [
            node
            for node in ast.walk(expression.tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self.before
        ]
        tape = Tape(size + sum(len(self.before[_name(node)].forms) for node in asked))
        self.next, self.nested = size, False
        self.calls: list[Call] = []
        self.answers: list[tuple[int, str]] = []
        self.size = size
        interpreter = Interpreter(Program(self.file, expression.text, {}, {}), tape, self._outside(tape))
        numbers = tuple(Affine.atom(i) for i in range(size))
        try:
            value = interpreter.expression(expression.tree, {self.variable: numbers})
            forms = interpreter.forms(value, expression.tree)
        except SpecError as error:
            if error.file == self.file:
                raise ExpressionFault(error.message, max(error.column - 1, 0)) from None
            raise ExpressionFault(str(error)) from None
        return ChainStep(
            one.id,
            shape,
            lower,
            upper,
            expression,
            file,
            one.tol,
            line,
            tuple(self.calls),
            tape,
            forms,
            tuple(self.answers),
        )

    def _outside(self, tape: Tape) -> dict[str, Callable[..., Data]]:
        definition = self.core.program.functions[self.core.function]
        inside = Interpreter(self.core.program, tape)
        found: dict[str, Callable[..., Data]] = {self.overseer: lambda node, *values: inside.call(definition, values)}
        return found | {name: self._asks(step) for name, step in self.before.items()}

    def _asks(self, step: ChainStep) -> Callable[..., Data]:
        def ask(node: ast.Call, *values: Data) -> Data:
            numbers: list[Affine] = []
            for value in values:
                for one in value if isinstance(value, tuple) else (value,):
                    if not isinstance(one, (Affine, int, float)):
                        raise ExpressionFault(f"{step.id} is asked about something else than numbers", node.col_offset)
                    numbers.append(one if isinstance(one, Affine) else Affine.number(one))
            if len(numbers) != len(step.lower):
                raise ExpressionFault(
                    f"{step.id} takes questions of {len(step.lower)} numbers, but is asked about {len(numbers)}",
                    node.col_offset,
                )
            support = {atom for form in numbers for atom, _ in form.terms}
            if any(atom >= self.size for atom in support):
                raise ExpressionFault(
                    f"a sub-question to {step.id} is no linear function of {self.variable}: it may not depend on "
                    "answers or on maxima",
                    node.col_offset,
                )
            self.calls.append(Call(step.id, ast.unparse(node), tuple(numbers)))
            start, self.next = self.next, self.next + len(step.forms)
            self.answers += [(atom, step.id) for atom in range(start, self.next)]
            found = tuple(Affine.atom(atom) for atom in range(start, self.next))
            return found if len(found) > 1 else found[0]

        return ask


def _name(node: ast.Call) -> str:
    assert isinstance(node.func, ast.Name)
    return node.func.id


def _ends(given: object, size: int) -> Numbers:
    flat: list[Fraction] = []
    stack = [given]
    while stack:
        value = stack.pop(0)
        if isinstance(value, (list, tuple)):
            stack = [*value, *stack]
        else:
            assert isinstance(value, Fraction)
            flat.append(value)
    if len(flat) == 1:
        return (flat[0],) * size
    if len(flat) != size:
        raise ExpressionFault(f"the box of its questions has {len(flat)} bounds for {size} numbers")
    return tuple(flat)
