"""Expressions compiled exactly to conditions on polynomials."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import cast

from specs.language.expressions.expression import Expression, ExpressionFault
from specs.language.expressions.tensor import Tensor
from specs.language.polynomials.formula import All, Any, Condition, Kind, PolynomialFormula, negated, size_of
from specs.language.text.suggest import did_you_mean
from specs.polynomial import Polynomial

PolynomialValue = Polynomial | Tensor | Condition | All | Any
"""What a part of an expression can be: a polynomial, an array of them, or a condition."""

MOST_TERMS, HIGHEST_DEGREE = 20_000, 40
LARGEST_CONDITION = 10_000  # conditions after implies and iff are written out
WIDEST_NUMBER = 1 << 15  # bits of a coefficient on the way
FUNCTIONS = ("implies", "iff", "sum")


def compile_polynomial(expression: Expression, names: Mapping[str, PolynomialValue]) -> PolynomialValue:
    """Meaning of ``expression``. Raises ``ExpressionFault`` at the offending column."""
    return _Compiler(expression, names).value(expression.tree)


def compile_condition(expression: Expression, names: Mapping[str, PolynomialValue]) -> PolynomialFormula:
    """``expression`` as a condition. Raises ``ExpressionFault`` at the offending column."""
    return _Compiler(expression, names).formula(expression.tree)


class _Compiler:
    def __init__(self, expression: Expression, names: Mapping[str, PolynomialValue]) -> None:
        self.expression, self.names = expression, names

    def value(self, node: ast.expr) -> PolynomialValue:
        match node:
            case ast.Constant(value=bool()):
                return All(()) if node.value else Any(())
            case ast.Constant():
                return Polynomial.constant(self.expression.number(node))
            case ast.Name():
                return self._name(node)
            case ast.Attribute():
                return cast(PolynomialValue, self._tensor(node.value).named(node))
            case ast.Subscript():
                return cast(PolynomialValue, self._tensor(node.value).at(node, self._integer, self.expression.text))
            case ast.UnaryOp(op=ast.Not()):
                return negated(self.formula(node.operand))
            case ast.UnaryOp():
                operand = self.polynomial(node.operand)
                return -operand if isinstance(node.op, ast.USub) else operand
            case ast.BoolOp():
                parts = tuple(self.formula(part) for part in node.values)
                return All(parts) if isinstance(node.op, ast.And) else Any(parts)
            case ast.BinOp():
                return self._binary(node)
            case ast.Compare():
                return self._chain(node)
            case ast.Call():
                return self._call(node)
        raise ExpressionFault(f"{self._text(node)} has no meaning among polynomials", node.col_offset)

    def formula(self, node: ast.expr) -> PolynomialFormula:
        value = self.value(node)
        if isinstance(value, (Condition, All, Any)):
            return value
        raise ExpressionFault(f"{self._text(node)} is no condition; expected a comparison", node.col_offset)

    def polynomial(self, node: ast.expr) -> Polynomial:
        value = self.value(node)
        if isinstance(value, Tensor) and value.values.size == 1:
            return cast(Polynomial, value.flat()[0])
        if isinstance(value, Polynomial):
            return value
        kind = "an array: name one element, as in x[0]" if isinstance(value, Tensor) else "a condition"
        raise ExpressionFault(f"{self._text(node)} is {kind}; expected a single number", node.col_offset)

    def _name(self, node: ast.Name) -> PolynomialValue:
        if node.id in self.names:
            return self.names[node.id]
        if node.id in ("true", "false"):
            return All(()) if node.id == "true" else Any(())
        raise ExpressionFault(f"{node.id!r} is not defined{did_you_mean(node.id, self.names)}", node.col_offset)

    def _tensor(self, node: ast.expr) -> Tensor:
        value = self.value(node)
        if isinstance(value, Tensor):
            return value
        raise ExpressionFault(f"{self._text(node)} has no elements; expected an input", node.col_offset)

    def _integer(self, node: ast.expr) -> int:
        value = self.polynomial(node)
        number = value.coefficient(())
        if not value.is_constant or number.denominator != 1 or abs(number) > 10**9:
            raise ExpressionFault(f"{self._text(node)} has to be a whole number", node.col_offset)
        return int(number)

    def _binary(self, node: ast.BinOp) -> Polynomial:
        left = self.polynomial(node.left)
        if isinstance(node.op, ast.Pow):
            return self._power(left, self._integer(node.right), node)
        right = self.polynomial(node.right)
        if isinstance(node.op, ast.Div):
            divisor = right.coefficient(())
            if not right.is_constant or divisor == 0:
                raise ExpressionFault(f"{self._text(node)} divides by something else than a number", node.col_offset)
            return left.scaled(1 / divisor)
        if isinstance(node.op, ast.Mult):
            return self._product(left, right, node)
        return left + right if isinstance(node.op, ast.Add) else left - right

    def _product(self, left: Polynomial, right: Polynomial, node: ast.expr) -> Polynomial:
        if left.degree + right.degree > HIGHEST_DEGREE or len(left.terms) * len(right.terms) > MOST_TERMS:
            raise ExpressionFault(
                f"{self._text(node)} has a degree above {HIGHEST_DEGREE} or more than {MOST_TERMS:,} terms",
                node.col_offset,
            )
        if _bits(left) + _bits(right) > WIDEST_NUMBER:
            raise ExpressionFault(f"{self._text(node)} has coefficients of too many digits", node.col_offset)
        return left * right

    def _power(self, base: Polynomial, exponent: int, node: ast.expr) -> Polynomial:
        if not 0 <= exponent <= HIGHEST_DEGREE:
            raise ExpressionFault(
                f"{self._text(node)}: the exponent has to lie in 0 to {HIGHEST_DEGREE}", node.col_offset
            )
        result = Polynomial.constant(1)
        for _ in range(exponent):
            result = self._product(result, base, node)
        return result

    def _chain(self, node: ast.Compare) -> PolynomialFormula:
        operands = [node.left, *node.comparators]
        links = []
        for left, op, right in zip(operands, node.ops, operands[1:]):
            rule = _COMPARE.get(type(op))
            if rule is None:
                raise ExpressionFault("in has no meaning among polynomials", left.col_offset)
            links.append(rule(self.polynomial(left), self.polynomial(right)))
        return links[0] if len(links) == 1 else All(tuple(links))

    def _call(self, node: ast.Call) -> PolynomialValue:
        name = cast(ast.Name, node.func).id
        wanted = {"implies": 2, "iff": 2, "sum": 1}.get(name)
        if wanted is None:
            raise ExpressionFault(
                f"{name!r} is no function of polynomials ({', '.join(FUNCTIONS)} are); "
                "if it is a network, name it under models",
                node.col_offset,
            )
        if len(node.args) != wanted:
            raise ExpressionFault(f"{name} takes {wanted} argument(s), found {len(node.args)}", node.col_offset)
        if name == "sum":
            return Polynomial.total(self._tensor(node.args[0]).flat())
        a, b = (self.formula(part) for part in node.args)
        if size_of(a) + size_of(b) > LARGEST_CONDITION:
            raise ExpressionFault(f"{self._text(node)} is too large when it is written out", node.col_offset)
        if name == "implies":
            return Any((negated(a), b))
        return All((Any((negated(a), b)), Any((a, negated(b)))))

    def _text(self, node: ast.expr) -> str:
        text = self.expression.text[node.col_offset : node.end_col_offset]
        return text if len(text) <= 60 else text[:57] + "..."


def _bits(p: Polynomial) -> int:
    """Of the longest numerator or denominator."""
    return max((max(abs(c.numerator), c.denominator).bit_length() for c in p.terms.values()), default=0)


def _difference(kind: Kind, sign: int) -> Callable[[Polynomial, Polynomial], PolynomialFormula]:
    return lambda a, b: Condition(a - b if sign > 0 else b - a, kind)


def _unequal(a: Polynomial, b: Polynomial) -> PolynomialFormula:
    return negated(Condition(a - b, "zero"))


_COMPARE: Mapping[type[ast.cmpop], Callable[[Polynomial, Polynomial], PolynomialFormula]] = {
    ast.Gt: _difference("strict", 1),
    ast.GtE: _difference("weak", 1),
    ast.Lt: _difference("strict", -1),
    ast.LtE: _difference("weak", -1),
    ast.Eq: _difference("zero", 1),
    ast.NotEq: _unequal,
}
