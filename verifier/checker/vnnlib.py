"""VNN-LIB 1.0 read into boxes and linear rows, in exact rationals.

``read_query`` negates: the file says what a violation is, a ``QueryCase`` says what must hold. Every disjunct of the
file's disjunctive normal form becomes one case. What is not understood is refused. Source: vnnlib.org, version 1.0;
also accepted are ``<``, ``>``, ``=`` and the linear terms ``+``, ``-`` and ``*``, and a ball,
``(<= (+ (* w (* T T)) ...) b)``, in which every input has one square: one assertion for all cases, or one part of
each conjunction that is to have one. In a ball of the norm 1 absolute values, ``(ite (>= T 0) T (- T))``, stand for the
squares.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import prod
from typing import NamedTuple

from verifier.checker.ball import ExactBall
from verifier.checker.errors import CheckError

MOST_CASES = 100_000
MOST_BOUNDS = 50_000_000  # cases times inputs
MOST_ATOMS = 20_000_000  # cases times constraints of the longest
DEEPEST = 100
TOKEN = re.compile(r"[()]|[^\s();]+|;[^\n\r]*")
QUOTED = re.compile(r"(?:^|\r)[^;\n\r]*[|\"]", re.MULTILINE)
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
ONLY_SQUARES = "a query is linear, but for one ball in each case, (<= (+ (* w (* T T)) ...) b)"
ABSOLUTE = "(ite (>= T 0) T (- T))"
VARIABLE = re.compile(r"([XY])_(0|[1-9][0-9]{0,8})")


@dataclass(frozen=True)
class QueryRow:
    """``sum x + sum y + constant > 0`` (``strict``) or ``>= 0``; coefficients by input and output position."""

    x: dict[int, Fraction]
    y: dict[int, Fraction]
    constant: Fraction
    strict: bool


@dataclass(frozen=True)
class QueryCase:
    """For every input with ``lower <= x <= upper``, and in the ball if there is one, at least one row must hold.

    There is nothing to show when it is ``empty``. Cases with equal balls have the same one.
    """

    lower: tuple[Fraction, ...]
    upper: tuple[Fraction, ...]
    empty: bool
    rows: tuple[QueryRow, ...]
    ball: ExactBall | None = None

    def contains(self, x: Sequence[Fraction]) -> bool:
        """Whether the point is one of the inputs."""
        inside = all(low <= value <= up for low, value, up in zip(self.lower, x, self.upper, strict=True))
        return inside and (self.ball is None or self.ball.contains(x))


Expression = str | list["Expression"]
Linear = dict[str, Fraction]  # coefficient by variable name, the constant under ""


class Bound(NamedTuple):
    """``X_input <= value`` when ``above``, else ``X_input >= value``."""

    input: int
    above: bool
    value: Fraction


Atom = Bound | QueryRow | ExactBall
Disjunction = list[tuple[Atom, ...]]


def read_query(text: str, inputs: int, outputs: int) -> tuple[QueryCase, ...]:
    """The cases of a query over ``inputs`` X and ``outputs`` Y variables; it holds iff all of them hold.

    Cases stand in the order of the expansion, left to right, the first disjunction of the file outermost; rows in
    file order. Raises ``CheckError`` for all unreadable commands at once, for an input without bounds and beyond
    100,000 cases.
    """
    reader = _Reader(inputs, outputs)
    problems = []
    for line, command in _commands(text):
        try:
            reader.read(command)
        except CheckError as error:
            problems.append(f"line {line}: {error}")
    if problems:
        raise CheckError("; ".join(problems[:10]) + (f"; and {len(problems) - 10} more" if problems[10:] else ""))
    return reader.cases()


def _commands(text: str) -> Iterator[tuple[int, Expression]]:
    """Top-level expressions, each with the line it starts on."""
    if QUOTED.search(text):
        raise CheckError('quoted symbols and strings (| or ") are not supported')
    stack: list[list[Expression]] = []
    line, seen = 1, 0
    for match in TOKEN.finditer(text):
        token = match.group()
        if token.startswith(";"):
            continue
        if not stack:
            line, seen = line + text.count("\n", seen, match.start()), match.start()
        if token == "(":
            stack.append([])
        elif not stack:
            raise CheckError(f"line {line}: {token[:40]!r} outside of a command")
        elif token == ")":
            done = stack.pop()
            if stack:
                stack[-1].append(done)
            else:
                yield line, done
        else:
            stack[-1].append(token)
        if len(stack) > DEEPEST:
            raise CheckError(f"line {line}: nested deeper than {DEEPEST}")
    if stack:
        raise CheckError(f"line {line}: a parenthesis is never closed")


class _Reader:
    """Commands read so far: declared variables and one disjunction of conjunctions per assertion."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.sizes = {"X": inputs, "Y": outputs}
        self.declared: set[str] = set()
        self.numbers: dict[str, Fraction] = {}
        self.assertions: list[Disjunction] = []
        self.ball: ExactBall | None = None
        self.balls: dict[ExactBall, ExactBall] = {}

    def read(self, command: Expression) -> None:
        match command:
            case ["declare-const", str(name), "Real"] | ["declare-fun", str(name), [], "Real"]:
                variable = VARIABLE.fullmatch(name)
                if not variable or name in self.declared:
                    raise CheckError(f"{name[:40]!r} is declared twice or is not named X_i or Y_j")
                kind, index = variable.group(1), int(variable.group(2))
                if index >= self.sizes[kind]:
                    raise CheckError(f"{name} is declared, but the network has {self.sizes[kind]} {kind} variables")
                self.declared.add(name)
            case ["assert", ["<=", total, bound] | [">=", bound, total]] if self.is_of_ball(total):
                if self.ball is not None:
                    raise CheckError("a second ball: one is supported")
                self.ball = self.read_ball(total, bound)
            case ["assert", formula]:
                self.assertions.append(self.formula(formula))
            case ["set-logic" | "set-info", *_]:
                pass
            case _:
                raise CheckError(f"command {_show(command)} is not supported")

    def formula(self, formula: Expression) -> Disjunction:
        """Its disjunctive normal form."""
        match formula:
            case ["or", _, *_]:
                parts = [self.formula(part) for part in formula[1:]]
                _limit(sum(map(len, parts)))
                return [conjunction for part in parts for conjunction in part]
            case ["and", _, *_]:
                parts = [self.formula(part) for part in formula[1:]]
                _limit(prod(map(len, parts)), parts)
                return [tuple(atom for part in choice for atom in part) for choice in product(*parts)]
            case ["<=", total, bound] | [">=", bound, total] if self.is_of_ball(total):
                ball = self.read_ball(total, bound)
                return [(self.balls.setdefault(ball, ball),)]
            case ["<=" | "<" as relation, left, right]:
                return [self.atoms(left, right, strict=relation == "<")]
            case [">=" | ">" as relation, left, right]:
                return [self.atoms(right, left, strict=relation == ">")]
            case ["=", left, right]:
                return [self.atoms(left, right, strict=False) + self.atoms(right, left, strict=False)]
            case _:
                raise CheckError(f"formula {_show(formula)} is not supported")

    def atoms(self, small: Expression, large: Expression, strict: bool) -> tuple[Atom, ...]:
        """The constraint ``small <= large`` (or ``<``): a bound if it holds one input alone, else its negation.

        A strict bound is both: the closed bound, and a row that is true on the boundary.
        """
        if isinstance(small, str) and isinstance(large, str) and not strict:  # the common case, without arithmetic
            if small[0] == "X" and small in self.declared and large not in self.declared:
                return (Bound(int(small[2:]), True, self.number(large)),)
            if large[0] == "X" and large in self.declared and small not in self.declared:
                return (Bound(int(large[2:]), False, self.number(small)),)
        difference = dict(self.linear(small))
        for name, value in self.linear(large).items():
            difference[name] = difference.get(name, Fraction(0)) - value
        constant = difference.pop("", Fraction(0))
        terms = [(name[0], int(name[2:]), value) for name, value in difference.items() if value]
        x = {position: value for kind, position, value in terms if kind == "X"}
        y = {position: value for kind, position, value in terms if kind == "Y"}
        row = QueryRow(x, y, constant, strict=not strict)
        if y or len(x) != 1:
            return (row,)
        ((position, factor),) = x.items()
        bound = Bound(position, factor > 0, -constant / factor)
        return (bound, row) if strict else (bound,)

    def number(self, token: str) -> Fraction:
        if token not in self.numbers:
            if len(token) > 1000 or not NUMBER.fullmatch(token):
                raise CheckError(f"{_show(token)} is neither a declared variable nor a number")
            self.numbers[token] = Fraction(token)
        return self.numbers[token]

    def linear(self, term: Expression) -> Linear:
        match term:
            case str():
                return {term: Fraction(1)} if term in self.declared else {"": self.number(term)}
            case ["-", only]:
                return {name: -value for name, value in self.linear(only).items()}
            case ["+" | "-" as sign, first, *rest]:
                result = dict(self.linear(first))
                for part in rest:
                    for name, value in self.linear(part).items():
                        result[name] = result.get(name, Fraction(0)) + (value if sign == "+" else -value)
                return result
            case ["*", left, right]:
                a, b = self.linear(left), self.linear(right)
                if set(a) != {""}:
                    a, b = b, a
                if set(a) != {""}:
                    raise CheckError(f"term {_show(term)} is not linear; {ONLY_SQUARES}")
                return {name: a[""] * value for name, value in b.items()}
            case _:
                raise CheckError(f"term {_show(term)} is not supported")

    def is_of_ball(self, term: Expression) -> bool:
        """Whether it is a product of variables, or of a number and a choice, or a choice, or a sum that begins so."""
        match term:
            case ["+", first, *_]:
                return self.is_of_ball(first)
            case ["*", left, right]:
                nested = self.is_of_ball(left) or self.is_of_ball(right)
                return nested or all(self.variables(part) for part in (left, right))
            case ["ite", *_]:
                return True
            case _:
                return False

    def variables(self, term: Expression) -> bool:
        """Whether there are any in it."""
        return term in self.declared if isinstance(term, str) else any(map(self.variables, term))

    def read_ball(self, total: Expression, bound: Expression) -> ExactBall:
        found: dict[int, tuple[Fraction, Fraction]] = {}  # by input: the center's coordinate and the weight
        norms = set()
        for term in total[1:] if total[0] == "+" else [total]:
            match term:
                case ["*", [_, *_] as power, str(factor)] | ["*", str(factor), [_, *_] as power] if (
                    factor not in self.declared
                ):
                    weight = self.number(factor)
                case power:
                    weight = Fraction(1)
            match power:
                case ["*", left, right] if left == right:
                    norm, root = 2, self.linear(left)
                case ["ite", [">=", left, str(zero)], then, ["-", otherwise]] if left == then == otherwise:
                    norm, root = 1, self.linear(left)
                    if zero in self.declared or self.number(zero):
                        raise CheckError(f"term {_show(power)} is no absolute value, {ABSOLUTE}")
                case _:
                    raise CheckError(
                        f"term {_show(term)} is not a number times a square or an absolute value, {ABSOLUTE}; "
                        f"{ONLY_SQUARES}"
                    )
            norms.add(norm)
            constant = root.pop("", Fraction(0))
            variables = [(name, value) for name, value in root.items() if value]
            if len(variables) != 1 or variables[0][0][0] != "X" or weight <= 0:
                power = "square" if norm == 2 else "absolute value"
                raise CheckError(f"term {_show(term)} is no positive multiple of one input's {power}; {ONLY_SQUARES}")
            ((name, factor_of_input),) = variables
            if int(name[2:]) in found:
                raise CheckError(f"{name} has two squares or absolute values in the ball")
            found[int(name[2:])] = -constant / factor_of_input, weight * abs(factor_of_input) ** norm
        missing = [f"X_{i}" for i in range(self.sizes["X"]) if i not in found]
        if missing:
            raise CheckError(f"a ball needs a square of every input; {len(missing)} lack one: {', '.join(missing[:5])}")
        if len(norms) > 1:
            raise CheckError("a ball of squares and absolute values has no norm")
        limit = self.linear(bound)
        if any(value for name, value in limit.items() if name):
            raise CheckError(f"the bound of a ball has to be a number, not {_show(bound)}")
        center, weights = zip(*(found[i] for i in range(self.sizes["X"])), strict=True)
        return ExactBall(center, weights, limit.get("", Fraction(0)), norms.pop())

    def ball_of(self, atoms: Sequence[Atom]) -> ExactBall | None:
        """That of all cases, or the case's own; not both, since a case has one."""
        found = {id(atom): atom for atom in atoms if isinstance(atom, ExactBall)}
        balls = [*found.values(), *([] if self.ball is None else [self.ball])]
        if len(balls) > 1:
            raise CheckError("a case with two balls: one is supported")
        return balls[0] if balls else None

    def cases(self) -> tuple[QueryCase, ...]:
        count, inputs = prod(map(len, self.assertions)), self.sizes["X"]
        _limit(count)
        if count * inputs > MOST_BOUNDS:
            raise CheckError(f"{count} cases of {inputs} inputs are too many")
        names = [f"{kind}_{position}" for kind, size in self.sizes.items() for position in range(size)]
        missing = [name for name in names if name not in self.declared]
        if missing:
            raise CheckError(f"{len(missing)} variable(s) of the network are not declared: {', '.join(missing[:5])}")
        shared: list[Bound] = []  # bounds every case has, intersected once; they are no rows, so row order is kept
        choices = []
        for disjunction in self.assertions:
            bounds = [atom for atom in disjunction[0] if isinstance(atom, Bound)]
            if len(disjunction) == 1 and len(bounds) == len(disjunction[0]):
                shared.extend(bounds)
            else:
                choices.append(disjunction)
        common = _intersect(([None] * inputs, [None] * inputs), shared)
        closed: Box | None = None
        cases = []
        _limit(count, choices)
        for choice in product(*choices):
            atoms = [atom for part in choice for atom in part]
            bounds = [atom for atom in atoms if isinstance(atom, Bound)]
            ball = self.ball_of(atoms)
            own = bool(bounds) or ball is not self.ball
            if own or closed is None:
                closed = _closed(_intersect(common, bounds), ball)
            rows = tuple(atom for atom in atoms if isinstance(atom, QueryRow))
            cases.append(QueryCase(*closed, rows, ball))
            if own:
                closed = None
        return tuple(cases)


Sides = tuple[list[Fraction | None], list[Fraction | None]]
Box = tuple[tuple[Fraction, ...], tuple[Fraction, ...], bool]


def _intersect(sides: Sides, bounds: Sequence[Bound]) -> Sides:
    """The box cut by the bounds; ``None`` stands for no bound."""
    lower, upper = list(sides[0]), list(sides[1])
    for position, above, value in bounds:
        side = upper if above else lower
        old = side[position]
        if old is None or (value < old if above else value > old):
            side[position] = value
    return lower, upper


def _closed(sides: Sides, ball: ExactBall | None) -> Box:
    """Lower and upper bounds, all present, and whether no input is within them and in the ball."""
    lower, upper = (tuple(value for value in side if value is not None) for side in sides)
    lacking = [f"X_{i}" for i, (low, up) in enumerate(zip(*sides)) if low is None or up is None]
    if lacking:
        raise CheckError(f"{len(lacking)} input(s) lack a lower or an upper bound: {', '.join(lacking[:5])}")
    empty = any(low > up for low, up in zip(lower, upper))
    return lower, upper, empty or (ball is not None and not ball.meets(lower, upper))


def _limit(cases: int, parts: Sequence[Disjunction] = ()) -> None:
    """Refuses too many cases, and too many constraints in all where each case joins one conjunction of every part."""
    if cases > MOST_CASES:
        raise CheckError(f"the query expands into {cases} cases, at most {MOST_CASES} are supported")
    if cases * sum(max(map(len, part)) for part in parts) > MOST_ATOMS:
        raise CheckError(f"the query expands into more than {MOST_ATOMS} constraints")


def _show(expression: Expression) -> str:
    """The beginning of an expression, for an error."""
    if isinstance(expression, str):
        return repr(expression[:40])
    return f"({' '.join(part[:40] if isinstance(part, str) else '(...)' for part in expression[:4])})"
