"""Expressions evaluated directly on exact numbers: the meaning against which the compiled form is tested.

Nothing here goes through linear terms or normal forms, so a fault of the compiler shows as a difference.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

from specs.language.expressions.expression import COMPARISONS, LIPSCHITZ, Expression
from specs.language.expressions.tensor import Tensor, pairwise


@dataclass(frozen=True)
class Numbers:
    """Values at one point: inputs and ``let`` by name, what networks compute by the call in the expression, labels."""

    values: Mapping[str, Any]
    outputs: Callable[[ast.Call], Tensor | None]
    labels: Mapping[str, int]


@dataclass(frozen=True)
class _Best:
    """Indices of all largest (or smallest) values."""

    indices: frozenset[int]


@dataclass(frozen=True)
class _Leaders:
    """Indices that fewer than k others reach or beat."""

    indices: frozenset[int]


def evaluate_expression(expression: Expression, at: Numbers) -> Any:
    """Value of an expression that compiles: a ``Fraction``, a ``bool`` or a ``Tensor`` of these."""
    return _Evaluator(expression, at).value(expression.tree)


def is_true(value: Any) -> bool:
    """Truth of a condition; several element-by-element comparisons have to be true all."""
    return all(value.flat()) if isinstance(value, Tensor) else bool(value)


_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class _Evaluator:
    def __init__(self, expression: Expression, at: Numbers) -> None:
        self.expression, self.at = expression, at

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=bool()):
                return node.value
            case ast.Constant():
                return self.expression.number(node)
            case ast.Name(id="true" | "false") if node.id not in self.at.values:
                return node.id == "true"
            case ast.Name():
                return self.at.values[node.id]
            case ast.Attribute():
                return self.value(node.value).named(node)
            case ast.Subscript():
                return self.value(node.value).at(node, lambda part: int(self.value(part)), self.expression.text)
            case ast.List() | ast.Tuple():
                return Tensor.of([self.value(part) for part in node.elts])
            case ast.UnaryOp(op=ast.Not()):
                return not is_true(self.value(node.operand))
            case ast.UnaryOp():
                return (
                    self._negative(self.value(node.operand))
                    if isinstance(node.op, ast.USub)
                    else self.value(node.operand)
                )
            case ast.BoolOp():
                join = all if isinstance(node.op, ast.And) else any
                return join([is_true(self.value(part)) for part in node.values])
            case ast.BinOp(op=ast.Pow()):
                return self.value(node.left) ** int(self.value(node.right))
            case ast.BinOp():
                return pairwise(self.value(node.left), self.value(node.right), _ARITHMETIC[type(node.op)], 0)
            case ast.Compare():
                return self._chain(node)
            case ast.Call():
                outputs = self.at.outputs(node)
                if isinstance(node.func, ast.Name) and node.func.id == LIPSCHITZ and outputs is not None:
                    return max(outputs.flat())
                return outputs if outputs is not None else self._call(cast(ast.Name, node.func).id, node.args)
        raise AssertionError(f"{ast.dump(node)} does not compile")

    def _negative(self, value: Any) -> Any:
        return value.map(operator.neg) if isinstance(value, Tensor) else -value

    def _chain(self, node: ast.Compare) -> Any:
        operands = [self.value(part) for part in (node.left, *node.comparators)]
        links = [self._link(left, op, right) for left, op, right in zip(operands, node.ops, operands[1:])]
        return links[0] if len(links) == 1 else all(is_true(link) for link in links)

    def _link(self, left: Any, op: ast.cmpop, right: Any) -> Any:
        if isinstance(op, (ast.In, ast.NotIn)):
            if isinstance(right, _Leaders):
                inside = int(_single(left)) in right.indices
            else:
                inside = left.indices <= {int(part) for part in right.flat()}
            return inside == isinstance(op, ast.In)
        if isinstance(right, _Best):
            left, right = right, left
        if isinstance(left, _Best) and isinstance(right, _Best):
            return (len(left.indices) == 1 and left == right) == isinstance(op, ast.Eq)
        if isinstance(left, _Best):
            return (left.indices == {int(_single(right))}) == isinstance(op, ast.Eq)
        return pairwise(left, right, COMPARISONS[type(op)], 0)

    def _call(self, name: str, nodes: list[ast.expr]) -> Any:
        if name == "label":
            return Fraction(self.at.labels[ast.unparse(nodes[0])])
        if name == "norm":
            sizes = [abs(part) for part in _elements([self.value(nodes[0])])]
            return max(sizes) if ast.unparse(nodes[1]) == "inf" else sum(sizes)
        return _FUNCTIONS[name](*(self.value(node) for node in nodes))


def _elements(values: Any) -> list[Any]:
    return [part for value in values for part in (value.flat() if isinstance(value, Tensor) else [value])]


def _single(value: Any) -> Any:
    return value.flat()[0] if isinstance(value, Tensor) else value


def _each(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda value, *rest: (
        value.map(lambda part: function(part, *rest)) if isinstance(value, Tensor) else function(value, *rest)
    )


def _clip(value: Any, low: Any, high: Any) -> Any:
    return min(max(value, _single(low)), _single(high))


def _best(pick: Callable[[list[Any]], Any]) -> Callable[..., _Best]:
    def indices(*values: Any) -> _Best:
        scores = _elements(values)
        return _Best(frozenset(k for k, score in enumerate(scores) if score == pick(scores)))

    return indices


def _top(scores: Tensor, k: Any) -> _Leaders:
    values = scores.flat()
    rivals = [sum(other >= score for other in values) - 1 for score in values]
    return _Leaders(frozenset(index for index, count in enumerate(rivals) if count < _single(k)))


def _margin(scores: Tensor, k: Any = None) -> Any:
    values = scores.flat()
    if k is None:
        second, first = sorted(values)[-2:]
        return first - second
    chosen = values.pop(int(_single(k)))
    return chosen - max(values)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "implies": lambda a, b: not is_true(a) or is_true(b),
    "iff": lambda a, b: is_true(a) == is_true(b),
    "min": lambda *values: min(_elements(values)),
    "max": lambda *values: max(_elements(values)),
    "sum": lambda *values: sum(_elements(values)),
    "abs": _each(abs),
    "relu": _each(lambda value: max(value, Fraction(0))),
    "clip": _each(_clip),
    "argmax": _best(max),
    "argmin": _best(min),
    "top": _top,
    "margin": _margin,
    "all": lambda *values: all(map(is_true, values)),
    "any": lambda *values: any(_elements(values)),
}
