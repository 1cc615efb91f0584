"""Operations on what names of a core can hold: numbers are computed or become forms, conditions are joined."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, cast

from specs.core.constants import Constant, computed, held
from specs.core.forms import Affine, Tape
from specs.core.program import Program
from specs.core.values import Below, Both, Condition, Data, Opposite
from specs.language.expressions.expression import COMPARISONS

MAX_LENGTH = 10_000

Form = TypeVar("Form", Affine, "Affine | None")


@dataclass(frozen=True)
class Operations:
    """What depends on data goes onto ``tape``. Raises ``SpecError`` with file and line of ``program``.

    Without ``joins_sequences`` sequences are not added.
    """

    program: Program
    tape: Tape
    joins_sequences: bool

    def choose(self, test: Condition, yes: Data, no: Data, node: ast.AST, what: str) -> Data:
        """``yes`` where the condition holds, ``no`` where it does not; refused unless it is proved to be continuous."""
        match test:
            case Opposite(part):
                return self.choose(part, no, yes, node, what)
            case Both(left, right):
                return self.choose(left, self.choose(right, yes, no, node, what), no, node, what)
        if isinstance(yes, tuple) and isinstance(no, tuple) and len(yes) == len(no):
            return tuple(self.choose(test, a, b, node, what) for a, b in zip(yes, no))
        if type(yes) is type(no) and yes == no:
            return yes
        a, b = self.form(yes, node, what), self.form(no, node, what)
        found = self._on_tape(node, partial(self.tape.choose, test.form, a, b, _line(node)))
        if found is None:
            raise self.program.fault(
                f"if on data: {what} is not proved to be continuous where the condition changes; "
                "say it with max, min and abs",
                node,
            )
        return cast(Data, found)

    def unary(self, node: ast.UnaryOp, value: Data) -> Data:
        """Plus, minus or ``not`` of a value."""
        if isinstance(node.op, ast.Not):
            return Opposite(value) if isinstance(value, Condition) else not self.truth(value, node)
        if isinstance(node.op, ast.Invert):
            raise self.program.refusal(node.op)
        number = self.number(value, node)
        if isinstance(node.op, ast.UAdd):
            return number
        return number.times(-1) if isinstance(number, Affine) else -number

    def arithmetic(self, op: ast.operator, left: Data, right: Data, node: ast.AST) -> Data:
        """A binary operation, as Python computes it of constants."""
        if isinstance(op, ast.Add) and isinstance(left, tuple) and isinstance(right, tuple) and self.joins_sequences:
            return self.short((*left, *right), node)
        a, b = self.number(left, node), self.number(right, node)
        if not isinstance(a, Affine) and not isinstance(b, Affine):
            return computed(self.program, op, a, b, node)
        x, y = _affine(a), _affine(b)
        match op:
            case ast.Add():
                return x.plus(y)
            case ast.Sub():
                return x.plus(y, -1)
            case ast.Mult() if y.is_constant:
                return x.times(y.constant)
            case ast.Mult() if x.is_constant:
                return y.times(x.constant)
            case ast.Mult():
                raise self.program.fault("a product of data is not piecewise linear", node)
            case ast.Div() if y.is_constant and y.constant:
                factor = 1 / y.constant
                held(self.program, float(factor), factor, node)
                return x.times(factor)
            case ast.Div():
                raise self.program.fault("division by data (or by zero) is not piecewise linear", node)
        raise self.program.fault(f"{_OPERATIONS.get(type(op), 'this operation')} of data is not piecewise linear", node)

    def joined(self, parts: Sequence[Condition | bool]) -> Condition | bool:
        """Whether all parts hold."""
        if False in [part for part in parts if isinstance(part, bool)]:
            return False
        conditions = [part for part in parts if isinstance(part, Condition)]
        if not conditions:
            return True
        result = conditions[-1]
        for part in reversed(conditions[:-1]):
            result = Both(part, result)
        return result

    def built_in(self, name: str, values: list[Data], node: ast.Call) -> Data:
        """A call of a function that the language has."""
        if name in ("max", "min"):
            parts = self.sequence(values[0], node) if len(values) == 1 else values
            return self.extreme(name, [self.number(part, node) for part in parts], node)
        if name == "range":
            ends = [self.whole(value, node) for value in values]
            numbers = range(*ends) if 1 <= len(ends) <= 3 and ends[2:] != [0] else range(0)
            if not 1 <= len(ends) <= 3 or ends[2:] == [0] or len(numbers) > MAX_LENGTH:
                raise self.program.fault(
                    f"range takes 1 to 3 whole numbers, a step other than 0, and has at most {MAX_LENGTH:,}", node
                )
            return tuple(numbers)
        if name == "zip":
            return tuple(zip(*(self.sequence(value, node) for value in values)))
        if len(values) != 1:
            raise self.program.fault(f"{name} takes one argument here, found {len(values)}", node)
        (value,) = values
        if name == "abs":
            number = self.number(value, node)
            if not isinstance(number, Affine):
                return abs(number)
            return self.extreme("max", [number, number.times(-1)], node)
        if name in ("float", "int"):
            number = self.number(value, node)
            if isinstance(number, Affine):
                if name == "int":
                    raise self.program.fault("int of data is not piecewise linear", node)
                return number
            return float(number) if name == "float" else int(number)
        parts = self.sequence(value, node)
        if name == "sum":
            total: Data = 0
            for part in parts:
                total = self.arithmetic(ast.Add(), total, part, node)
            return total
        if name == "len":
            return len(parts)
        if name == "enumerate":
            return tuple(enumerate(parts))
        return tuple(reversed(parts)) if name == "reversed" else parts

    def extreme(self, name: str, numbers: Sequence[Constant | Affine], node: ast.AST) -> Data:
        """The ``max`` or ``min`` of numbers."""
        if not numbers:
            raise self.program.fault(f"{name} of nothing", node)
        constants = [part for part in numbers if not isinstance(part, Affine)]
        if len(constants) == len(numbers):
            return max(constants) if name == "max" else min(constants)
        join = self.tape.maximum if name == "max" else self.tape.minimum
        result = _affine(numbers[0])
        for part in numbers[1:]:
            result = self._on_tape(node, partial(join, result, _affine(part), _line(node)))
        return result

    def number(self, value: Data, node: ast.AST) -> Constant | Affine:
        """The value, which has to be a number."""
        if isinstance(value, (int, float, Affine)):
            return value
        what = "a condition on data" if isinstance(value, Condition) else "a sequence"
        raise self.program.fault(f"{what} is used as a number", node)

    def form(self, value: Data, node: ast.AST, what: str) -> Affine:
        """The value, which has to be a number and no truth value, as a form; ``what`` is what messages call it."""
        if isinstance(value, Affine):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return Affine.number(value)
        kind = "a sequence of another length" if isinstance(value, tuple) else "a truth value"
        raise self.program.fault(f"{what} is {kind}, no number", node)

    def truth(self, value: Data, node: ast.AST) -> bool:
        """Whether a value counts as true, which must not depend on data."""
        if isinstance(value, (int, float)):
            return bool(value)
        if isinstance(value, tuple):
            return bool(value)
        what = (
            "a condition on data cannot decide this" if isinstance(value, Condition) else "data are used as a condition"
        )
        raise self.program.fault(what, node)

    def whole(self, value: Data, node: ast.AST) -> int:
        """The value, which has to be a whole number that does not depend on data."""
        if isinstance(value, int):
            return value
        what = "depends on data" if isinstance(value, Affine) else "is no whole number"
        raise self.program.fault(f"an index {what}", node)

    def sequence(self, value: Data, node: ast.AST) -> tuple[Data, ...]:
        """The value, which has to be a sequence."""
        if isinstance(value, tuple):
            return value
        raise self.program.fault("expected a sequence of fixed length", node)

    def short(self, values: tuple[Data, ...], node: ast.AST) -> tuple[Data, ...]:
        """The values, if they are not too many."""
        if len(values) > MAX_LENGTH:
            raise self.program.fault(f"a sequence is longer than {MAX_LENGTH:,}", node)
        return values

    def _on_tape(self, node: ast.AST, operation: Callable[[], Form]) -> Form:
        try:
            return operation()
        except OverflowError as error:
            raise self.program.fault(str(error), node) from None

    def compared(self, node: ast.Compare, values: Sequence[Constant | Affine]) -> Data:
        """A chain of comparisons of numbers."""
        links: list[Condition | bool] = []
        for op, a, b in zip(node.ops, values, values[1:]):
            function = COMPARISONS.get(type(op))
            if function is None:
                raise self.program.refusal(op)
            gap = _affine(a).plus(_affine(b), -1)
            if not isinstance(a, Affine) and not isinstance(b, Affine):
                links.append(function(a, b))
            elif gap.is_constant:
                links.append(function(gap.constant, 0))
            elif isinstance(op, (ast.Eq, ast.NotEq)):
                raise self.program.fault("equality of data decides a border, which is not continuous", node)
            else:
                links.append(Below(gap if isinstance(op, (ast.Lt, ast.LtE)) else gap.times(-1)))
        return self.joined(links)


def _affine(value: Constant | Affine) -> Affine:
    return value if isinstance(value, Affine) else Affine.number(value)


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))


_OPERATIONS = {ast.FloorDiv: "floor division", ast.Mod: "the remainder", ast.Pow: "a power"}
