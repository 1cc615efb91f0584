"""Axioms about a function that cannot be read: Lipschitz, monotone in a coordinate, of some range.

    abs(g(a) - g(b)) <= 2 * norm(a - b, inf)
    implies(a[0] <= b[0] and a[1] == b[1], g(a) <= g(b))
    -1 <= g(a) and g(a) <= 1

``a`` and ``b`` may have any names; all points are meant. Nothing else is an axiom here.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from specs.language.expressions.expression import Expression, ExpressionFault
from specs.language.text.decimals import exact

FORMS = (
    'expected abs(g(a) - g(b)) <= L * norm(a - b, inf), implies(a[0] <= b[0] and a[1] == b[1], g(a) <= g(b)) with '
    "every other coordinate equal, or bounds such as -1 <= g(a) and g(a) <= 1"
)  # fmt: skip


@dataclass(frozen=True)
class AxiomSet:
    """What all axioms say of a function of ``dimension`` coordinates; ``texts`` are they as written."""

    dimension: int
    lipschitz: Fraction | None = None
    norm: Literal["inf", "1"] = "inf"
    increasing: frozenset[int] = frozenset()
    decreasing: frozenset[int] = frozenset()
    lower: Fraction | None = None
    upper: Fraction | None = None
    texts: tuple[str, ...] = ()


def with_axiom(known: AxiomSet, axiom: Expression, name: str) -> AxiomSet:
    """The set with one more axiom about the function ``name``. Raises ``ExpressionFault``."""
    reader = _Reader(axiom, name, known.dimension)
    tree = axiom.tree
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "implies":
        coordinate, up = reader.monotone(tree)
        if coordinate in (known.decreasing if up else known.increasing):
            raise ExpressionFault(f"coordinate {coordinate} is said to increase and to decrease", tree.col_offset)
        increasing = known.increasing | ({coordinate} if up else set())
        found = replace(known, increasing=increasing, decreasing=known.decreasing | (set() if up else {coordinate}))
    elif isinstance(tree, ast.Compare) and len(tree.ops) == 1 and isinstance(tree.left, ast.Call) and (
        isinstance(tree.left.func, ast.Name) and tree.left.func.id == "abs"
    ):  # fmt: skip
        constant, norm = reader.lipschitz(tree)
        if known.lipschitz is not None:
            raise ExpressionFault("there is a Lipschitz axiom already", tree.col_offset)
        found = replace(known, lipschitz=constant, norm=norm)
    else:
        lower, upper = reader.range(tree)
        lows = [v for v in (known.lower, lower) if v is not None]
        ups = [v for v in (known.upper, upper) if v is not None]
        found = replace(known, lower=max(lows, default=None), upper=min(ups, default=None))
    if found.lower is not None and found.upper is not None and found.lower > found.upper:
        raise ExpressionFault(f"no number is between {exact(found.lower)} and {exact(found.upper)}", 0)
    return replace(found, texts=(*known.texts, axiom.text))


@dataclass(frozen=True)
class _Reader:
    axiom: Expression
    name: str
    dimension: int

    def lipschitz(self, node: ast.Compare) -> tuple[Fraction, Literal["inf", "1"]]:
        match node:
            case ast.Compare(
                left=ast.Call(args=[ast.BinOp(op=ast.Sub(), left=one, right=other)]),
                ops=[ast.LtE()],
                comparators=[bound],
            ):
                a, b = self.point(one), self.point(other)
            case _:
                raise self.fault(node)
        factor = Fraction(1)
        if isinstance(bound, ast.BinOp) and isinstance(bound.op, ast.Mult):
            constants = [part for part in (bound.left, bound.right) if self.number(part) is not None]
            rest = [part for part in (bound.left, bound.right) if self.number(part) is None]
            if len(constants) != 1:
                raise self.fault(bound)
            factor, bound = self.number(constants[0]) or Fraction(0), rest[0]
        match bound:
            case ast.Call(
                func=ast.Name(id="norm"),
                args=[ast.BinOp(op=ast.Sub(), left=ast.Name(id=left), right=ast.Name(id=right)), order],
            ) if {left, right} == {a, b} and a != b:
                written = ast.unparse(order)
                if written in ("inf", "1") and factor >= 0:
                    return factor, "inf" if written == "inf" else "1"
                raise ExpressionFault("the norm is inf or 1, and the constant not negative", order.col_offset)
        raise self.fault(bound)

    def monotone(self, node: ast.Call) -> tuple[int, bool]:
        """The coordinate, and whether the function increases in it."""
        if len(node.args) != 2 or not isinstance(node.args[1], ast.Compare):
            raise self.fault(node)
        premise, conclusion = node.args
        parts = premise.values if isinstance(premise, ast.BoolOp) and isinstance(premise.op, ast.And) else [premise]
        ordered: list[tuple[str, str, int]] = []
        equal: set[int] = set()
        for part in parts:
            match part:
                case ast.Compare(
                    left=ast.Subscript(value=ast.Name(id=low), slice=i),
                    ops=[op],
                    comparators=[ast.Subscript(value=ast.Name(id=high), slice=j)],
                ) if low != high and ast.unparse(i) == ast.unparse(j):
                    index = self.number(i)
                    if index is None or index.denominator != 1 or not 0 <= index < self.dimension:
                        raise ExpressionFault(f"a coordinate is from 0 to {self.dimension - 1}", i.col_offset)
                    if isinstance(op, ast.Eq):
                        equal.add(int(index))
                    elif isinstance(op, ast.LtE):
                        ordered.append((low, high, int(index)))
                    elif isinstance(op, ast.GtE):
                        ordered.append((high, low, int(index)))
                    else:
                        raise self.fault(part)
                case _:
                    raise self.fault(part)
        if len(ordered) != 1 or equal != set(range(self.dimension)) - {ordered[0][2]}:
            raise self.fault(premise)
        small, great, coordinate = ordered[0]
        assert isinstance(conclusion, ast.Compare)
        match conclusion:
            case ast.Compare(left=one, ops=[ast.LtE() | ast.GtE() as op], comparators=[other]):
                low, high = self.point(one), self.point(other)
                low, high = (low, high) if isinstance(op, ast.LtE) else (high, low)
                if (low, high) in ((small, great), (great, small)):
                    return coordinate, (low, high) == (small, great)
        raise self.fault(conclusion)

    def range(self, node: ast.expr) -> tuple[Fraction | None, Fraction | None]:
        lower: Fraction | None = None
        upper: Fraction | None = None
        parts = node.values if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And) else [node]
        for part in parts:
            if not isinstance(part, ast.Compare):
                raise self.fault(part)
            operands = [part.left, *part.comparators]
            for left, op, right in zip(operands, part.ops, operands[1:]):
                if not isinstance(op, (ast.LtE, ast.GtE)):
                    raise self.fault(part)
                low, high = (left, right) if isinstance(op, ast.LtE) else (right, left)
                least, most = self.number(low), self.number(high)
                if least is not None and most is None:
                    self.point(high)
                    lower = least if lower is None else max(lower, least)
                elif most is not None and least is None:
                    self.point(low)
                    upper = most if upper is None else min(upper, most)
                else:
                    raise self.fault(part)
        return lower, upper

    def point(self, node: ast.expr) -> str:
        """The point at which the function is taken."""
        match node:
            case ast.Call(func=ast.Name(id=name), args=[ast.Name(id=point)]) if name == self.name:
                return point
        raise self.fault(node)

    def number(self, node: ast.expr) -> Fraction | None:
        match node:
            case ast.Constant():
                return self.axiom.number(node)
            case ast.UnaryOp(op=ast.USub(), operand=part):
                value = self.number(part)
                return None if value is None else -value
        return None

    def fault(self, node: ast.expr) -> ExpressionFault:
        return ExpressionFault(f"this is no axiom about {self.name}: {FORMS}", node.col_offset)
