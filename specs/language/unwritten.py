"""A specification without its adversary inside the network: nothing is written into any layer."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from specs.language.expressions.expression import ExpressionFault, parse_expression
from specs.language.schema.file import Requirement, SpecFile
from specs.language.schema.inputs import Inject, InputBox
from specs.language.schema.values import numbers
from specs.language.text.source import Source

STATE = "what the layer holds"
"""The id of a requirement whose network computes that; no id of a file contains spaces."""


def unwritten(section: SpecFile) -> SpecFile:
    """The section with each input that is written into a layer fixed at 0, and written nowhere.

    Where `round` gives a box, the other inputs are anywhere in it. One more requirement, ``STATE``, reads the layer
    that the first of the inputs was written into, in the first call of its model, where there is one.
    """
    adversary = section.adversary
    rounding = None if adversary is None else adversary.round
    context = None
    if adversary is not None and adversary.expand_catastrophe and adversary.expand_catastrophe.transfer:
        context = adversary.expand_catastrophe.transfer.context
    inputs, written = {}, {name: one.inject for name, one in section.inputs.items() if one.inject is not None}
    for name, one in section.inputs.items():
        if name in written:
            size = int(one.shape[0])
            for side in one.shape[1:]:
                size *= int(side)
            nothing = {"inject": None, "natural": None, "box": None, "ball": None, "linear": (), "normalize": None}
            inputs[name] = one.model_copy(update={**nothing, "points": (numbers([0] * size),)})
        elif rounding is not None and rounding.box is not None and name != context:
            box = InputBox(lo=rounding.box.lo, hi=rounding.box.hi)
            inputs[name] = one.model_copy(update={"box": box, "ball": None, "points": None})
        else:
            inputs[name] = one
    moves = None if adversary is None else adversary.model_copy(update={"moves": (), "round": None})
    found = section.model_copy(update={"inputs": inputs, "adversary": moves, "emit": (), "monitor": None})
    states = [state for one in written.values() for state in _state(section, one)]
    return found.model_copy(update={"require": (*found.require, *states[:1])})


def check_rounding(section: SpecFile, source: Source) -> None:
    """There has to be something to go back from."""
    asked = section.adversary is not None and section.adversary.round is not None
    if asked and not any(one.inject is not None for one in section.inputs.values()):
        source.fault("nothing is written into a layer, so there is no state to go back from", "adversary", "round")


def _state(section: SpecFile, injection: Inject) -> Iterator[Requirement]:
    """A requirement that reads the layer, in the first call of the model that is found."""
    for text in (*section.let.values(), *(one.assert_ for one in section.require)):
        try:
            parsed = parse_expression(text)
        except ExpressionFault:
            continue
        for node in ast.walk(parsed.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == injection.model:
                given = ", ".join(parsed.text[part.col_offset : part.end_col_offset] for part in node.args)
                layer = f"sum(tap({injection.model}, {injection.at})({given})) <= 0"
                plain = Requirement.model_validate({"id": "state", "severity": "info", "assert": layer})
                yield plain.model_copy(update={"id": STATE})
                return
