"""From a surrogate to what it was learned from: a proved least value makes an audited difference say more."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from fractions import Fraction

from specs.language.expressions.expression import Expression, ExpressionFault, parse_expression
from specs.language.rates.question import Lift
from specs.language.text.yaml_tree import Document


@dataclass(frozen=True)
class Asserted:
    """What a requirement asserts of all inputs, names it solves for, and those of them that move something else."""

    text: str
    solved: tuple[str, ...] = ()
    moving: tuple[str, ...] = ()


def asserts_of(document: Document) -> dict[str, Asserted]:
    """What requirements about all inputs assert, by their ids, as far as the document is as it should be."""
    given = document.data.get("require") if isinstance(document.data, dict) else None
    entries = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
    found: dict[str, Asserted] = {}
    for one in entries:
        if "id" in one and "assert" in one:
            wanted = one.get("solve_for")
            solved = tuple(wanted) if isinstance(wanted, dict) else ()
            moving = tuple(name for name in solved if document.uses.get(name))
            found[str(one["id"])] = Asserted(str(one["assert"]), solved, moving)
    return found


def lift_of(requirement: str, asserted: Asserted, other: Expression | None) -> Lift | str:
    """What the requirement says of ``other``, what an answer is compared with; or why it says nothing."""
    split = None if other is None else _less(other)
    if split is None:
        return "is for an event such as panel(x, y) < panel_hat(x, y) - 0.2"
    call, gap = split
    try:
        proof = parse_expression(asserted.text)
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
    names = (parameter,) if parameter else ()
    if (value is None and not names) or asserted.solved != names or asserted.moving:
        told = f"as {call} >= 0.2 does, or one that it solves for and that moves nothing else"
        return f"{requirement} asserts no least value, {told}"
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
