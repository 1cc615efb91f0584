"""From a surrogate to what it was learned from: a proved least value makes an audited difference say more."""

from __future__ import annotations

import ast
from fractions import Fraction

from specs.language.expression import Expression, ExpressionFault, parse_expression
from specs.language.statistical_question import Lift
from specs.language.yaml_tree import Document


def asserts_of(document: Document) -> dict[str, str]:
    """What requirements about all inputs assert, by their ids, as far as the document is as it should be."""
    given = document.data.get("require") if isinstance(document.data, dict) else None
    entries = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    return {str(one["id"]): str(one["assert"]) for one in entries if "id" in one and "assert" in one}


def lift_of(requirement: str, asserted: str, other: Expression | None) -> Lift | str:
    """What the requirement says of ``other``, what an answer is compared with; or why it says nothing."""
    split = None if other is None else _less(other)
    if split is None:
        return "is for an event such as panel(x, y) < panel_hat(x, y) - 0.2"
    call, gap = split
    try:
        proof = parse_expression(asserted)
    except ExpressionFault:
        return f"{requirement} cannot be read"
    tree = proof.tree
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1 or not isinstance(tree.ops[0], (ast.GtE, ast.Gt)):
        return f"{requirement} asserts no least value, as {call} >= 0.2 does"
    if ast.unparse(tree.left) != call:
        return f"{requirement} is about {ast.unparse(tree.left)}, and the event about {call}"
    end = tree.comparators[0]
    parameter = end.id if isinstance(end, ast.Name) else ""
    value = proof.number(end) if isinstance(end, ast.Constant) else None
    if value is None and not parameter:
        return f"{requirement} asserts no least value, as {call} >= 0.2 does"
    return Lift(requirement, call, gap, value, parameter)


def _less(other: Expression) -> tuple[str, Fraction] | None:
    """The call and the number taken off it, if that is what it is."""
    tree = other.tree
    if isinstance(tree, ast.Call):
        return ast.unparse(tree), Fraction(0)
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Sub) and isinstance(tree.left, ast.Call):
        value = other.number(tree.right) if isinstance(tree.right, ast.Constant) else None
        return None if value is None else (ast.unparse(tree.left), value)
    return None
