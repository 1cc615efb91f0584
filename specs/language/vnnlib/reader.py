"""VNN-LIB 1.0: the text of a query, read into disjunctive normal form.

A VNN-LIB file describes the *unsafe* points: inputs ``X_i`` and outputs ``Y_j`` for which every assertion is true.
`specs.language.vnnlib.compile` negates it into the property that has to hold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple, NoReturn

from specs.errors import SpecError
from specs.language.expressions.dnf import FALSE, TRUE, Atom, Dnf, conjoin, disjoin
from specs.language.text.decimals import parse_decimal
from specs.language.text.faults import Faults
from specs.language.text.textfile import read_text
from specs.language.vnnlib.values import ONE as _ONE
from specs.language.vnnlib.values import ONLY_BALLS as _ONLY_BALLS
from specs.language.vnnlib.values import BallFormula, Fault, Linear, Powers, absolute_of, square_of, sum_of, terms_of
from specs.problem import Ball, Terms

MAX_DEPTH = 2_000

# A comparison of two words is one token: most of every file is bounds, and large files have a million of them.
# A comment ends with its line, by SMT-LIB at a line feed or at a carriage return, whichever comes first.
_TOKEN = re.compile(r"\(\s*([<>]=?)\s+([^\s();]+)\s+([^\s();]+)\s*\)|([()]|;[^\n\r]*|[^\s();]+)")
_VARIABLE = re.compile(r"([XY])_(0|[1-9]\d{0,8})")
_COMPARISONS = frozenset({"<=", ">=", "<", ">", "="})
_ARITHMETIC = frozenset({"+", "-", "*", "/"})
_WITHOUT_MEANING_HERE = frozenset({"set-logic", "check-sat", "get-model", "exit"})
_MINUS_ONE = Fraction(-1)


@dataclass(frozen=True)
class VnnlibQuery:
    """Unsafe points of a network with ``n_inputs`` and ``n_outputs`` flat values: all ``assertions`` are true there.

    They also lie in the ``ball``, if there is one.
    """

    n_inputs: int
    n_outputs: int
    assertions: tuple[Dnf, ...]
    file: Path | None = None
    text: str = ""
    ball: Ball | None = None

    def position(self, token: int) -> tuple[int, int]:
        """Line and column (from 1) of the token with this number."""
        return _line_and_column(self.text, _offset(self.text, token))


def read_vnnlib(path: Path) -> VnnlibQuery:
    """The query in a ``.vnnlib`` or ``.vnnlib.gz`` file, every decimal read exactly. Raises ``SpecError``."""
    path = Path(path)
    return parse_vnnlib(read_text(path), path)


def parse_vnnlib(text: str, file: Path | None = None) -> VnnlibQuery:
    """The query in ``text``; ``file`` is for messages.

    Linear arithmetic over declared ``X_i`` and ``Y_j`` with ``+ - * /``, comparisons ``<= >= < > =`` and nested
    ``and``/``or``; and a ball, ``(<= (+ (* w (* T T)) ...) b)``, in which every input has one square, of a linear
    ``T``, and a weight ``w > 0``; for the norm 1 an absolute value, ``(ite (>= T 0) T (- T))``. A ball is an assertion
    of its own, or there is at most one in each alternative.

    Raises ``SpecError`` with line and column, all independent faults at once.
    """
    return _Parser(text, file).query()


def _offset(text: str, token: int) -> int:
    return next(islice(_TOKEN.finditer(text), token, None)).start()


def _line_and_column(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


_Value = Linear | Powers | BallFormula | Dnf | str | None
"""A closed list or a word; ``None`` stands for a command, or for an expression whose fault is already noted."""


class _Variable(NamedTuple):
    """A declared input (``X``) or output (``Y``), and ``+v`` and ``-v`` as terms, which many atoms share."""

    kind: str
    number: int
    plus: Terms
    minus: Terms


class _Parser:
    """Shift-reduce over the tokens: an expression is evaluated when its parenthesis closes, so nothing recurses."""

    def __init__(self, text: str, file: Path | None) -> None:
        self.text, self.file = text, file
        self.faults = Faults(file)
        self.declared: dict[str, _Variable] = {}
        self.numbers: dict[str, Fraction] = {}
        self.opposites: dict[str, Fraction] = {}
        self.assertions: list[Dnf] = []
        self.ball: BallFormula | None = None
        self.balls_of_some: list[BallFormula] = []

    def query(self) -> VnnlibQuery:
        opened: list[int] = []
        outer: list[list[_Value]] = []  # the lists around ``items``, the list that is being read
        items: list[_Value] = []
        for index, (comparison, left, right, token) in enumerate(_TOKEN.findall(self.text)):
            if comparison:
                items.append(self._reduce([comparison, left, right], index, nested=bool(opened)))
            elif token == "(":
                outer.append(items)
                opened.append(index)
                items = []
                if len(opened) > MAX_DEPTH:
                    self._stop(f"is nested deeper than {MAX_DEPTH:,} parentheses", index)
            elif token == ")":
                if not opened:
                    self._stop("closes a parenthesis that was never opened", index)
                value = self._reduce(items, opened.pop(), nested=len(outer) > 1)
                items = outer.pop()
                items.append(value)
            elif token[0] != ";":
                if not opened:
                    self._stop(f"expected a command in parentheses, found {token[:40]!r}", index)
                items.append(token)
        if opened:
            self._stop(f"{len(opened)} parentheses are never closed, the last of them here", opened[-1])
        if not self.declared and not self.faults.found:
            self.faults.add("declares no variables; expected (declare-const X_0 Real) and so on. Is it a VNN-LIB file?")
        n_inputs, n_outputs = self._count("X"), self._count("Y")
        ball = None if self.ball is None else self._ball(self.ball, n_inputs)
        for given in self.balls_of_some:
            self._ball(given, n_inputs)
            if self.ball is not None:
                self.faults.add("a second ball, beside that of all alternatives", *self._locate(given.token, ""))
        self.faults.raise_if_any()
        return VnnlibQuery(n_inputs, n_outputs, tuple(self.assertions), self.file, self.text, ball)

    def _ball(self, given: BallFormula, n_inputs: int) -> Ball | None:
        """The ball, once all inputs are known; faults are noted."""
        try:
            return given.ball(n_inputs)
        except Fault as fault:
            self.faults.add(fault.message, *self._locate(given.token, ""))
            return None

    def _reduce(self, items: list[_Value], at: int, nested: bool) -> _Value:
        """Value of the list that opened at token ``at``."""
        head = items[0] if items else ""
        try:
            if not isinstance(head, str):
                raise Fault("expected a command or an operator after the parenthesis")
            if head in _COMPARISONS:
                return self._comparison(head, items[1:], at)
            if head in ("and", "or"):
                return self._connective(head, items[1:])
            if head in _ARITHMETIC:
                return self._arithmetic(head, items[1:])
            if head == "ite":
                return self._choice(items[1:])
            if nested:
                return self._other(head)
            self._command(head, items)
        except Fault as fault:
            if None not in items:
                self.faults.add(fault.message, *self._locate(at, fault.token))
                if len(self.faults.found) >= Faults.SHOWN:
                    self.faults.raise_if_any()
        return None

    # commands

    def _command(self, head: str, items: list[_Value]) -> None:
        if head == "assert":
            if len(items) != 2:
                raise Fault(f"assert takes one formula, found {len(items) - 1}")
            if not isinstance(items[1], BallFormula):
                self.assertions.append(_formula(items[1]))
            elif self.ball is not None:
                raise Fault("a second ball; at most one is supported")
            else:
                self.ball = items[1]
        elif head in ("declare-const", "declare-fun"):
            self._declare(head, items)
        elif head == "vnnlib-version":
            raise Fault("VNN-LIB 2.0 is not supported yet; write the query in VNN-LIB 1.0 or as spec.yaml")
        elif head not in _WITHOUT_MEANING_HERE:
            self._other(head)

    def _other(self, head: str) -> str:
        """``()`` in ``(declare-fun X_0 () Real)``; everything else is an error."""
        if head == "":
            return "()"
        raise Fault(
            f"unknown command or operator {head[:40]!r}; known are declare-const, declare-fun, assert, and, or, "
            "<= >= < > = and + - * /",
            head,
        )

    def _declare(self, head: str, items: list[_Value]) -> None:
        rest = [*items[1:3], *items[3:]] if head == "declare-const" else [*items[1:2], *items[3:]]
        name = rest[0] if rest else None
        if not isinstance(name, str) or rest[1:] != ["Real"] or (head == "declare-fun" and items[2] != "()"):
            raise Fault("expected (declare-const NAME Real) or (declare-fun NAME () Real)")
        match = _VARIABLE.fullmatch(name)
        if match is None:
            raise Fault(f"variable {name[:40]!r} is neither an input X_0, X_1, ... nor an output Y_0, Y_1, ...", name)
        if name in self.declared:
            raise Fault(f"{name} is declared twice", name)
        index = int(match[2])
        self.declared[name] = _Variable(match[1], index, ((index, _ONE),), ((index, _MINUS_ONE),))

    def _count(self, kind: str) -> int:
        """Number of variables of one kind; their numbers have to be 0, 1, ... without gaps."""
        numbers = {variable.number for variable in self.declared.values() if variable.kind == kind}
        missing = [f"{kind}_{i}" for i in range(len(numbers)) if i not in numbers][:5]
        if missing:
            self.faults.add(
                f"declares {len(numbers)} variables {kind}_i but not {', '.join(missing)}: number them from 0 up"
            )
        return len(numbers)

    # formulas

    def _connective(self, head: str, items: list[_Value]) -> Dnf:
        if not items:
            raise Fault(f"({head}) without arguments")
        formulas = [self._ball_of_some(item) if isinstance(item, BallFormula) else _formula(item) for item in items]
        try:
            return conjoin(formulas) if head == "and" else disjoin(formulas)
        except OverflowError as error:
            raise Fault(str(error)) from None

    def _ball_of_some(self, given: BallFormula) -> Dnf:
        """A ball that only some alternatives have, in the inputs declared above it: later ones are a fault."""
        self.balls_of_some.append(given)
        known = sum(variable.kind == "X" for variable in self.declared.values())
        try:
            return ((Atom((), (), Fraction(0), False, given.token, given.ball(known)),),)
        except Fault:
            return TRUE

    def _comparison(self, head: str, items: list[_Value], at: int) -> Dnf | BallFormula:
        if len(items) != 2:
            raise Fault(f"({head} ...) compares two values, found {len(items)}")
        left, right = items if head in ("<=", "<", "=") else reversed(items)
        if isinstance(left, Powers) and not isinstance(right, Powers) and head in ("<=", ">="):
            bound = self._linear(right)
            if not bound.is_constant:
                raise Fault("the bound of a ball has to be a number")
            return BallFormula(left, bound.constant, at)
        strict = head in ("<", ">")
        atom = self._bound(left, right, strict, at)
        if atom is None:
            total = self._linear(left).plus(self._linear(right).scaled(_MINUS_ONE))
            atom = Atom(terms_of(total.x), terms_of(total.y), total.constant, strict, at)
        return ((atom, atom.mirrored()),) if head == "=" else ((atom,),)

    def _bound(self, left: _Value, right: _Value, strict: bool, at: int) -> Atom | None:
        """The atom ``left <= right`` when one side is a plain variable and the other a number: most of every file."""
        if not (isinstance(left, str) and isinstance(right, str)):
            return None
        variable = self.declared.get(left)
        if variable is not None:
            if right in self.declared:
                return None
            terms, constant = variable.plus, self._opposite(right)
        else:
            variable = self.declared.get(right)
            if variable is None:
                return None
            terms, constant = variable.minus, self._number(left)
        return Atom(terms, (), constant, strict, at) if variable.kind == "X" else Atom((), terms, constant, strict, at)

    # arithmetic

    def _linear(self, value: _Value) -> Linear:
        if isinstance(value, Linear):
            return value
        if isinstance(value, Powers):
            raise Fault(f"{value.noun}s of inputs are nonlinear; {_ONLY_BALLS}")
        if not isinstance(value, str):
            raise Fault("expected a number, a variable or arithmetic, found a formula")
        if value not in self.declared:
            return Linear({}, {}, self._number(value))
        kind, index, _, _ = self.declared[value]
        return Linear({index: _ONE}, {}, Fraction(0)) if kind == "X" else Linear({}, {index: _ONE}, Fraction(0))

    def _number(self, token: str) -> Fraction:
        number = self.numbers.get(token)
        if number is None:
            try:
                number = parse_decimal(token)
            except OverflowError as error:
                raise Fault(str(error), token) from None
            if number is None:
                raise Fault(self._not_a_number(token), token)
            self.numbers[token] = number
        return number

    def _opposite(self, token: str) -> Fraction:
        number = self.opposites.get(token)
        if number is None:
            number = self.opposites[token] = -self._number(token)
        return number

    def _not_a_number(self, token: str) -> str:
        if _VARIABLE.fullmatch(token):
            n = sum(variable.kind == token[0] for variable in self.declared.values())
            known = f"{n} variables {token[0]}_i are" if n else f"no {token[0]}_i is"
            return f"{token} is not declared (above this line, {known})"
        if token.lower().lstrip("+-") in ("nan", "inf", "infinity"):
            return f"{token} is not a number here: every constant has to be finite"
        return f"{token[:40]!r} is neither a declared variable nor a decimal number"

    def _arithmetic(self, head: str, items: list[_Value]) -> Linear | Powers:
        if not items:
            raise Fault(f"({head}) without arguments")
        if any(isinstance(item, Powers) for item in items):
            return self._of_powers(head, items)
        if head == "*" and len(items) == 2:
            square = square_of(*(self._linear(item) for item in items))
            if square is not None:
                return square
        total, *rest = (self._linear(item) for item in items)
        if head == "-" and not rest:
            return total.scaled(_MINUS_ONE)
        for part in rest:
            if head == "+":
                total = total.plus(part)
            elif head == "-":
                total = total.plus(part.scaled(_MINUS_ONE))
            elif head == "/":
                if not part.is_constant or part.constant == 0:
                    raise Fault("division is only by a constant other than 0")
                total = total.scaled(1 / part.constant)
            elif part.is_constant:
                total = total.scaled(part.constant)
            elif total.is_constant:
                total = part.scaled(total.constant)
            else:
                raise Fault(f"a product of variables is nonlinear; {_ONLY_BALLS}")
        return total

    def _of_powers(self, head: str, items: list[_Value]) -> Powers:
        """A sum of squares or of absolute values, or a positive multiple of one."""
        if head == "+":
            return sum_of(items)
        if head == "*" and len(items) == 2:
            powers, number = items if isinstance(items[0], Powers) else reversed(items)
            factor = self._linear(number)
            if factor.is_constant and factor.constant > 0 and isinstance(powers, Powers):
                return powers.scaled(factor.constant)
        raise Fault(f"squares and absolute values can be added, and multiplied by a number above 0; {_ONLY_BALLS}")

    def _choice(self, items: list[_Value]) -> Powers:
        """``(ite (>= T 0) T (- T))``, which is an absolute value."""
        if len(items) != 3:
            raise Fault(f"(ite ...) takes a condition and two values, found {len(items)}")
        return absolute_of(_formula(items[0]), self._linear(items[1]), self._linear(items[2]))

    # errors

    def _locate(self, at: int, word: str) -> tuple[int, int]:
        """Position of the first ``word`` in or after token number ``at``; of the token itself without a word."""
        start = _offset(self.text, at)
        found = re.compile(rf"(?<![^\s();]){re.escape(word)}(?![^\s();])").search(self.text, start) if word else None
        return _line_and_column(self.text, found.start() if found else start)

    def _stop(self, message: str, at: int) -> NoReturn:
        raise SpecError(message, self.file, *self._locate(at, ""))


def _formula(value: _Value) -> Dnf:
    if isinstance(value, BallFormula):
        raise Fault("a ball is no condition that a choice can depend on")
    if value == "true" or value == "false":
        return TRUE if value == "true" else FALSE
    if isinstance(value, str):
        raise Fault(f"expected a formula (a comparison, and, or), found {value[:40]!r}", value)
    if value is None or isinstance(value, (Linear, Powers)):
        raise Fault("expected a formula (a comparison, and, or), found arithmetic")
    return value
