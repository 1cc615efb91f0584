"""Constants of a core: computed as Python computes them, and refused wherever that is not exact."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, cast

from specs.core.program import Program
from specs.language.text.decimals import parse_decimal, show

MAX_EXPONENT = 64

Constant = int | float


def literal(program: Program, node: ast.Constant) -> Constant:
    """A number as it is written, refused where float64 would round it."""
    if isinstance(node.value, bool):
        return node.value
    if not isinstance(node.value, (int, float)):
        raise program.fault(f"{node.value!r} is no number", node)
    if isinstance(node.value, float):
        literal = (ast.get_source_segment(program.text, node) or repr(node.value)).replace("_", "")
        try:
            exact = parse_decimal(literal)
            same = exact is not None and Fraction(node.value) == exact
        except OverflowError:
            same = False
        if not same:
            raise program.fault(f"the number {literal[:40]} has no exact float64: it would be rounded", node)
    return held(program, node.value, Fraction(node.value), node)


def held(program: Program, value: Any, exact: Fraction, node: ast.AST) -> Constant:
    """A constant as Python computes it, refused where that, or float64, is not the exact number."""
    try:
        if Fraction(value) == exact == Fraction(float(value)):
            return cast(Constant, value)
    except (OverflowError, ValueError):
        pass
    shown = show(exact) if exact.denominator.bit_length() < 1000 > exact.numerator.bit_length() else "a number here"
    raise program.fault(f"{shown} has no exact float64: it would be rounded", node)


def computed(program: Program, op: ast.operator, a: Constant, b: Constant, node: ast.AST) -> Constant:
    """An operation on constants, in Python's own arithmetic."""
    function = _COMPUTE.get(type(op))
    if function is None:
        raise program.refusal(op)
    if isinstance(op, ast.Pow) and (abs(b) > MAX_EXPONENT or b != int(b)):
        raise program.fault(f"exponents are whole numbers within -{MAX_EXPONENT} and {MAX_EXPONENT}", node)
    try:
        exponent = int(b) if isinstance(op, ast.Pow) else Fraction(b)
        return held(program, function(a, b), Fraction(function(Fraction(a), exponent)), node)
    except ZeroDivisionError:
        raise program.fault("divides by zero", node) from None
    except OverflowError:
        raise program.fault("a number here is too large for float64", node) from None


_COMPUTE: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
