"""Expressions compiled exactly to linear constraints under and/or."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Literal, cast

from specs.language.expressions.choices import Comparisons, Top, Winner
from specs.language.expressions.dnf import Atom
from specs.language.expressions.expression import LIPSCHITZ, TAP, Expression, ExpressionFault
from specs.language.expressions.formula import And, Either, Formula, Or, at_most, less, negate
from specs.language.expressions.scope import Argument, Scope, Value
from specs.language.expressions.tensor import Tensor, pairwise
from specs.language.expressions.terms import (
    Extreme,
    Linear,
    Term,
    absolute,
    add,
    constant,
    extreme,
    scale,
    subtract,
    total,
)
from specs.language.text.suggest import did_you_mean


def compile_value(expression: Expression, scope: Scope) -> Value:
    """Meaning of ``expression`` in exact linear arithmetic. Raises ``ExpressionFault`` at the offending column."""
    return _Compiler(expression, scope).value(expression.tree)


def compile_formula(expression: Expression, scope: Scope) -> Formula:
    """``expression`` as a formula over inputs and outputs. Raises ``ExpressionFault`` at the offending column."""
    return _Compiler(expression, scope).formula(expression.tree)


class _Compiler:
    def __init__(self, expression: Expression, scope: Scope) -> None:
        self.expression, self.scope = expression, scope

    def value(self, node: ast.expr) -> Value:
        try:
            return self._value(node)
        except OverflowError as error:
            raise ExpressionFault(f"{self._text(node)} {error}", node.col_offset) from None

    def formula(self, node: ast.expr) -> Formula:
        return self._as_formula(self.value(node), node)

    def _value(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=bool()):
                return And(()) if node.value else Or(())
            case ast.Constant():
                return constant(self.expression.number(node))
            case ast.Name():
                return self._name(node)
            case ast.Attribute():
                return cast(Value, self._tensor(node.value).named(node))
            case ast.Subscript():
                return cast(Value, self._tensor(node.value).at(node, self._integer, self.expression.text))
            case ast.List() | ast.Tuple():
                return Tensor.of([self._scalar(part) for part in node.elts])
            case ast.UnaryOp(op=ast.Not()):
                return negate(self.formula(node.operand))
            case ast.UnaryOp():
                return self._scaled(
                    self.value(node.operand), Fraction(-1 if isinstance(node.op, ast.USub) else 1), node
                )
            case ast.BoolOp():
                parts = tuple(self.formula(part) for part in node.values)
                return And(parts) if isinstance(node.op, ast.And) else Or(parts)
            case ast.BinOp():
                return self._binary(node)
            case ast.Compare():
                return self._chain(node)
            case ast.Call():
                return self._call(node)
        raise ExpressionFault(f"{self._text(node)} has no meaning here", node.col_offset)

    # names and kinds

    def _name(self, node: ast.Name) -> Value:
        if node.id in self.scope.values:
            return self.scope.values[node.id]
        if node.id in ("true", "false"):
            return And(()) if node.id == "true" else Or(())
        hint = f"; call it on an input, as in {node.id}(x)" if node.id in self.scope.networks.names else ""
        raise ExpressionFault(
            f"{node.id!r} is not defined{hint or did_you_mean(node.id, filter(str.isidentifier, self.scope.values))}",
            node.col_offset,
        )

    def _tensor(self, node: ast.expr) -> Tensor:
        value = self.value(node)
        if isinstance(value, Tensor):
            return value
        raise ExpressionFault(
            f"{self._text(node)} is {_kind(value)}; expected an input or output with elements", node.col_offset
        )

    def _scalar(self, node: ast.expr) -> Term:
        value = self.value(node)
        if isinstance(value, Tensor) and value.values.size == 1:
            return cast(Term, value.flat()[0])
        if isinstance(value, (Linear, Extreme)):
            return value
        raise ExpressionFault(f"{self._text(node)} is {_kind(value)}; expected a single number", node.col_offset)

    def _constant(self, node: ast.expr) -> Fraction:
        value = self._scalar(node)
        if isinstance(value, Linear) and value.is_constant:
            return value.constant
        raise ExpressionFault(f"{self._text(node)} has to be a constant", node.col_offset)

    def _integer(self, node: ast.expr) -> int:
        value = self._constant(node)
        if value.denominator != 1 or abs(value) > 10**9:
            raise ExpressionFault(f"{self._text(node)} has to be a whole number", node.col_offset)
        return int(value)

    def _class(self, node: ast.expr, scores: Sequence[Term]) -> int:
        index = self._integer(node)
        if not 0 <= index < len(scores):
            raise ExpressionFault(f"class {index} is out of range: there are {len(scores)} values", node.col_offset)
        return index

    def _as_formula(self, value: Value, node: ast.expr) -> Formula:
        if isinstance(value, (Atom, And, Or, Either)):
            return value
        if isinstance(value, Comparisons):
            if value.operator == "!=":
                raise ExpressionFault("say all(...) or any(...) around != of several elements", node.col_offset)
            return And(value.parts)
        raise ExpressionFault(
            f"{self._text(node)} is {_kind(value)}; expected a comparison or a condition", node.col_offset
        )

    def _text(self, node: ast.expr) -> str:
        text = self.expression.text[node.col_offset : node.end_col_offset]
        return text if len(text) <= 60 else text[:57] + "..."

    # arithmetic

    def _scaled(self, value: Value, factor: Fraction, node: ast.expr) -> Value:
        if isinstance(value, (Linear, Extreme)):
            return scale(value, factor)
        if isinstance(value, Tensor):
            return value.map(lambda part: scale(part, factor))
        raise ExpressionFault(f"{self._text(node)}: arithmetic on {_kind(value)}", node.col_offset)

    def _binary(self, node: ast.BinOp) -> Value:
        if isinstance(node.op, ast.Pow):
            return constant(self._power(node))
        left, right = self._numeric(node.left), self._numeric(node.right)
        operation: Callable[[Term, Term], Term] = {
            ast.Add: add,
            ast.Sub: subtract,
            ast.Mult: lambda a, b: self._product(a, b, node),
            ast.Div: lambda a, b: self._quotient(a, b, node),
        }[type(node.op)]
        return cast(Value, pairwise(left, right, operation, node.col_offset))

    def _numeric(self, node: ast.expr) -> Term | Tensor:
        value = self.value(node)
        if isinstance(value, (Linear, Extreme, Tensor)):
            return value
        raise ExpressionFault(f"arithmetic on {_kind(value)}: {self._text(node)}", node.col_offset)

    def _power(self, node: ast.BinOp) -> Fraction:
        exponent = self._integer(node.right)
        base = self.value(node.left)
        if not (isinstance(base, Linear) and base.is_constant):
            raise ExpressionFault(f"{self._text(node)} is nonlinear: only constants have powers", node.col_offset)
        if abs(exponent) > 64 or (exponent < 0 and base.constant == 0):
            raise ExpressionFault(f"{self._text(node)}: the exponent has to lie within -64 and 64", node.col_offset)
        return base.constant**exponent

    def _product(self, a: Term, b: Term, node: ast.expr) -> Term:
        if isinstance(b, Linear) and b.is_constant:
            return scale(a, b.constant)
        if isinstance(a, Linear) and a.is_constant:
            return scale(b, a.constant)
        raise ExpressionFault(f"{self._text(node)} is nonlinear: a product of variables", node.col_offset)

    def _quotient(self, a: Term, b: Term, node: ast.expr) -> Term:
        if not (isinstance(b, Linear) and b.is_constant):
            raise ExpressionFault(f"{self._text(node)} is nonlinear: division by a variable", node.col_offset)
        if b.constant == 0:
            raise ExpressionFault(f"{self._text(node)} divides by zero", node.col_offset)
        return scale(a, 1 / b.constant)

    # comparisons

    def _chain(self, node: ast.Compare) -> Value:
        operands = [node.left, *node.comparators]
        links = [self._link(left, op, right) for left, op, right in zip(operands, node.ops, operands[1:])]
        return links[0] if len(links) == 1 else And(tuple(self._as_formula(link, node) for link in links))

    def _link(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Value:
        if isinstance(op, (ast.In, ast.NotIn)):
            inside = self._membership(left, right)
            return inside if isinstance(op, ast.In) else negate(inside)
        a, b = self.value(left), self.value(right)
        if isinstance(b, Winner) and not isinstance(a, Winner):
            (a, b), (left, right) = (b, a), (right, left)
        if isinstance(a, Winner):
            if not isinstance(op, (ast.Eq, ast.NotEq)):
                raise ExpressionFault("argmax and argmin are compared with == != and in only", left.col_offset)
            wins = self._same(a, b, left) if isinstance(b, Winner) else a.among([self._class(right, a.scores)])
            return wins if isinstance(op, ast.Eq) else negate(wins)
        if not isinstance(a, (Linear, Extreme, Tensor)) or not isinstance(b, (Linear, Extreme, Tensor)):
            wrong, node = (b, right) if isinstance(a, (Linear, Extreme, Tensor)) else (a, left)
            raise ExpressionFault(f"{self._text(node)} is {_kind(wrong)}; expected a number", node.col_offset)
        found = pairwise(a, b, _COMPARE[type(op)], left.col_offset)
        if isinstance(found, Tensor):
            return Comparisons(tuple(found.flat()), "!=" if isinstance(op, ast.NotEq) else "")
        return cast(Value, found)

    def _same(self, a: Winner, b: Winner, node: ast.expr) -> Formula:
        if len(a.scores) != len(b.scores):
            raise ExpressionFault(f"one has {len(a.scores)} classes, the other {len(b.scores)}", node.col_offset)
        return a.same(b)

    def _membership(self, left: ast.expr, right: ast.expr) -> Formula:
        if isinstance(right, ast.Call) and isinstance(top := self.value(right), Top):
            return top.contains(self._class(left, top.scores))
        winner = self.value(left)
        if not isinstance(winner, Winner) or not isinstance(right, (ast.List, ast.Tuple)):
            raise ExpressionFault("expected argmax(y) in [k, ...] or k in top(y, n)", left.col_offset)
        return winner.among([self._class(part, winner.scores) for part in right.elts])

    # functions

    def _call(self, node: ast.Call) -> Value:
        networks = self.scope.networks
        if isinstance(node.func, ast.Call):
            return networks.call(node, *self._tap(node.func), self._arguments(node))
        name = cast(ast.Name, node.func).id
        if name in networks.names:
            return networks.call(node, name, "", self._arguments(node))
        if name == TAP:
            raise ExpressionFault(
                f"{self._text(node)} is a layer: call it, as in {TAP}(target, relu1)(x)", node.col_offset
            )
        if name == LIPSCHITZ:
            return self._lipschitz(node)
        rule = _FUNCTIONS.get(name)
        if rule is None:
            known = [*_FUNCTIONS, LIPSCHITZ, *networks.names]
            raise ExpressionFault(
                f"{name!r} is neither a model nor a function{did_you_mean(name, known)}", node.col_offset
            )
        least, most, method = rule
        if not least <= len(node.args) <= most:
            wanted = str(least) if least == most else f"at least {least}" if most > 1000 else f"{least} to {most}"
            raise ExpressionFault(f"{name} takes {wanted} argument(s), found {len(node.args)}", node.col_offset)
        return method(self, node)

    def _tap(self, node: ast.Call) -> tuple[str, str]:
        """The network and the layer that ``tap(network, layer)`` names."""
        names = [part.id for part in node.args if isinstance(part, ast.Name)]
        if len(names) != 2 or len(node.args) != 2:
            raise ExpressionFault(f"{TAP} takes a model and a layer, as in {TAP}(target, relu1)(x)", node.col_offset)
        name, layer = names
        if name not in self.scope.networks.names:
            hint = did_you_mean(name, self.scope.networks.names)
            raise ExpressionFault(f"{name!r} is no model{hint}", node.args[0].col_offset)
        return name, layer

    def _lipschitz(self, node: ast.Call) -> Value:
        """The largest size of the derivative of a network on an input, the first one that fits where none is named."""
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        names = [part.id for part in given if isinstance(part, ast.Name)]
        if len(names) != len(given) or not 2 <= len(names) <= 3 or "inf" not in names:
            raise ExpressionFault(f"{LIPSCHITZ} takes a model and the norm inf, and may name an input", node.col_offset)
        name, *rest = (part for part in names if part != "inf")
        if name not in self.scope.networks.names:
            hint = did_you_mean(name, self.scope.networks.names)
            raise ExpressionFault(f"{name!r} is no model{hint}", node.args[0].col_offset)
        return extreme("max", self.scope.networks.derivative(node, name, "".join(rest)).flat())

    def _arguments(self, node: ast.Call) -> list[Argument]:
        if not node.args:
            raise ExpressionFault(f"{self._text(node)} needs something to be called on, as in (x)", node.col_offset)
        found = []
        for part in node.args:
            value = self._numeric(part)
            terms = value.flat() if isinstance(value, Tensor) else [value]
            found.append(Argument(tuple(terms), self._text(part), part.col_offset))
        return found

    def _implies(self, node: ast.Call) -> Value:
        return Or((negate(self.formula(node.args[0])), self.formula(node.args[1])))

    def _iff(self, node: ast.Call) -> Value:
        a, b = self.formula(node.args[0]), self.formula(node.args[1])
        return And((Or((negate(a), b)), Or((a, negate(b)))))

    def _extreme(self, node: ast.Call) -> Value:
        kind = cast(Literal["max", "min"], cast(ast.Name, node.func).id)
        return extreme(kind, self._elements(node.args))

    def _elements(self, nodes: Sequence[ast.expr]) -> list[Term]:
        """The elements of one tensor, or several scalars."""
        if len(nodes) == 1:
            value = self._numeric(nodes[0])
            terms = value.flat() if isinstance(value, Tensor) else [value]
        else:
            terms = [self._scalar(node) for node in nodes]
        if not terms:
            raise ExpressionFault("there are no elements here", nodes[0].col_offset)
        return terms

    def _sum(self, node: ast.Call) -> Value:
        return total(self._elements(node.args))

    def _each(self, node: ast.Call, function: Callable[[Term], Term]) -> Value:
        value = self._numeric(node.args[0])
        return value.map(function) if isinstance(value, Tensor) else function(value)

    def _abs(self, node: ast.Call) -> Value:
        return self._each(node, absolute)

    def _relu(self, node: ast.Call) -> Value:
        return self._each(node, lambda term: extreme("max", [term, constant(0)]))

    def _clip(self, node: ast.Call) -> Value:
        low, high = constant(self._constant(node.args[1])), constant(self._constant(node.args[2]))
        return self._each(node, lambda term: extreme("min", [extreme("max", [term, low]), high]))

    def _norm(self, node: ast.Call) -> Value:
        sizes = [absolute(term) for term in self._elements(node.args[:1])]
        order = self._text(node.args[1])
        if order == "inf":
            return extreme("max", sizes)
        if order == "1":
            return total(sizes)
        if order == "2":
            raise ExpressionFault("the 2-norm is nonlinear; norm(v, inf) and norm(v, 1) are supported", node.col_offset)
        raise ExpressionFault("norm takes inf or 1 as its second argument", node.args[1].col_offset)

    def _argmax(self, node: ast.Call) -> Value:
        return Winner(tuple(self._elements(node.args)))

    def _argmin(self, node: ast.Call) -> Value:
        return Winner(tuple(scale(term, Fraction(-1)) for term in self._elements(node.args)))

    def _top(self, node: ast.Call) -> Value:
        scores, k = tuple(self._elements(node.args[:1])), self._integer(node.args[1])
        if not 0 < k <= len(scores):
            raise ExpressionFault(f"top({k}) of {len(scores)} values", node.col_offset)
        return Top(scores, k)

    def _margin(self, node: ast.Call) -> Value:
        scores = self._elements(node.args[:1])
        if len(scores) < 2:
            raise ExpressionFault("margin needs at least two values", node.col_offset)
        classes = range(len(scores)) if len(node.args) == 1 else [self._class(node.args[1], scores)]
        rivals = [extreme("max", [score for j, score in enumerate(scores) if j != k]) for k in classes]
        return extreme("max", [subtract(scores[k], rival) for k, rival in zip(classes, rivals)])

    def _label(self, node: ast.Call) -> Value:
        (given,) = node.args
        name = given.id if isinstance(given, ast.Name) else self._text(given)
        if name not in self.scope.labels:
            raise ExpressionFault(
                f"{name} has no label: its points, or the center of its ball, have to be examples of a data set as in "
                "{dataset: FILE.npz, index: K}, whose file has 'labels'",
                node.col_offset,
            )
        return constant(self.scope.labels[name])

    def _quantified(self, node: ast.Call) -> Value:
        parts: list[Formula] = []
        for argument in node.args:
            for part in argument.elts if isinstance(argument, (ast.List, ast.Tuple)) else [argument]:
                value = self.value(part)
                parts.extend(value.parts if isinstance(value, Comparisons) else [self._as_formula(value, part)])
        return And(tuple(parts)) if cast(ast.Name, node.func).id == "all" else Or(tuple(parts))


_COMPARE: Mapping[type[ast.cmpop], Callable[[Term, Term], Formula]] = {
    ast.Lt: less,
    ast.LtE: at_most,
    ast.Gt: lambda a, b: less(b, a),
    ast.GtE: lambda a, b: at_most(b, a),
    ast.Eq: lambda a, b: And((at_most(a, b), at_most(b, a))),
    ast.NotEq: lambda a, b: Or((less(a, b), less(b, a))),
}

_MANY = 100_000
_FUNCTIONS: Mapping[str, tuple[int, int, Callable[[_Compiler, ast.Call], Value]]] = {
    "implies": (2, 2, _Compiler._implies),
    "iff": (2, 2, _Compiler._iff),
    "min": (1, _MANY, _Compiler._extreme),
    "max": (1, _MANY, _Compiler._extreme),
    "sum": (1, _MANY, _Compiler._sum),
    "abs": (1, 1, _Compiler._abs),
    "relu": (1, 1, _Compiler._relu),
    "clip": (3, 3, _Compiler._clip),
    "norm": (2, 2, _Compiler._norm),
    "argmax": (1, 1, _Compiler._argmax),
    "argmin": (1, 1, _Compiler._argmin),
    "top": (2, 2, _Compiler._top),
    "margin": (1, 2, _Compiler._margin),
    "label": (1, 1, _Compiler._label),
    "all": (1, _MANY, _Compiler._quantified),
    "any": (1, _MANY, _Compiler._quantified),
}


FUNCTIONS = frozenset({*_FUNCTIONS, TAP, LIPSCHITZ})


def _kind(value: object) -> str:
    """What a value is, in the user's words."""
    if isinstance(value, Tensor):
        return f"{value.values.size} values"
    if isinstance(value, (Winner, Top)):
        return "a class, not a number"
    return "a condition" if isinstance(value, (Atom, And, Or, Either, Comparisons)) else "a number"
