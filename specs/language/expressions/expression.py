"""The expression language of spec.yaml: a subset of Python expressions, parsed and never executed."""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from specs.language.text.decimals import parse_decimal

MAX_LENGTH = 20_000
MAX_DEPTH = 100
TAP = "tap"
"""The word for internal tensors: ``tap(target, layer)(x)``."""
LIPSCHITZ = "lipschitz"
"""The word for the size of a derivative: ``lipschitz(target, norm=inf)``."""

COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
"""What Python's comparisons are of numbers."""

_ALLOWED = (
    ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.BinOp, ast.Add, ast.Sub, ast.Mult,
    ast.Div, ast.Pow, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Call,
    ast.Attribute, ast.Subscript, ast.Slice, ast.Tuple, ast.List, ast.Name, ast.Constant, ast.Load,
)  # fmt: skip


class ExpressionFault(Exception):
    """A fault in an expression; ``column`` counts from 0 in its text."""

    def __init__(self, message: str, column: int = 0) -> None:
        super().__init__(message)
        self.message, self.column = message, column


@dataclass(frozen=True)
class Expression:
    """A parsed expression and the text it came from (line ends replaced by spaces).

    ``shown`` is what reports call it, where it is more than what stands there.
    """

    tree: ast.expr
    text: str
    shown: str = ""

    def number(self, node: ast.Constant) -> Fraction:
        """The exact value of a number in the text: ``0.1`` is 1/10."""
        literal = self.text[node.col_offset : node.end_col_offset]
        try:
            value = parse_decimal(literal) if not isinstance(node.value, (bool, str, bytes)) else None
        except OverflowError as error:
            raise ExpressionFault(str(error), node.col_offset) from None
        if value is None:
            raise ExpressionFault(f"{literal[:40]} is not a decimal number", node.col_offset)
        return value


def parse_expression(text: str) -> Expression:
    """``text`` as a syntax tree of the subset. Raises ``ExpressionFault``; nothing is evaluated."""
    if len(text) > MAX_LENGTH:
        raise ExpressionFault(f"is longer than {MAX_LENGTH:,} characters")
    text = re.sub(r"\s", " ", text).strip()
    if not text.isascii():
        column = next(i for i, character in enumerate(text) if not character.isascii())
        raise ExpressionFault(f"{text[column]!r} is not ASCII; expressions are", column)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise ExpressionFault(
            f"is not an expression: {error.msg}", error.offset - 1 if error.offset else len(text)
        ) from None
    except (ValueError, MemoryError, RecursionError):
        raise ExpressionFault("is nested too deeply to be read") from None
    _check(tree)
    return Expression(tree, text)


def _check(tree: ast.expr) -> None:
    """Refuse every kind of node outside the subset, and depth beyond ``MAX_DEPTH``."""
    nodes: list[tuple[ast.AST, int, int]] = [(tree, 1, 0)]
    while nodes:
        node, depth, column = nodes.pop()
        column = getattr(node, "col_offset", column)
        if depth > MAX_DEPTH:
            raise ExpressionFault(f"is nested deeper than {MAX_DEPTH} operations", column)
        if not isinstance(node, _ALLOWED) or (isinstance(node, ast.Call) and not _is_callable(node.func)):
            raise ExpressionFault(f"{_noun(node)} is not part of the expression language", column)
        nodes.extend(
            (child.value if isinstance(child, ast.keyword) else child, depth + 1, column)
            for child in ast.iter_child_nodes(node)
        )
        if isinstance(node, ast.Call) and node.keywords and not _names_norm(node):
            raise ExpressionFault("functions take their arguments by position", column)


def _is_callable(node: ast.expr) -> bool:
    """A name, or a tap: ``tap(target, layer)``."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == TAP
    return isinstance(node, ast.Name)


def _names_norm(node: ast.Call) -> bool:
    """Whether the only argument given by name is the norm of ``lipschitz``."""
    of_lipschitz = isinstance(node.func, ast.Name) and node.func.id == LIPSCHITZ
    return of_lipschitz and [keyword.arg for keyword in node.keywords] == ["norm"]


def _noun(node: ast.AST) -> str:
    words = re.findall(r"[A-Z][a-z]*", type(node).__name__)
    return "a call of something else than a name" if isinstance(node, ast.Call) else f"a {' '.join(words).lower()}"
