"""What a requirement means at one point, evaluated directly from its expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from specs.language.expressions.evaluate import Numbers, evaluate_expression, is_true
from specs.language.expressions.expression import Expression
from specs.language.expressions.tensor import Tensor
from specs.language.networks import Posed, Poser


@dataclass(frozen=True)
class Meaning:
    """Names and expressions of a specification; shares nothing with their compiled form but the syntax tree.

    What a network computes is taken as given: `Poser.values` hands it over.
    """

    poser: Poser
    lets: Mapping[str, Expression]

    def is_violated(
        self,
        posed: Posed,
        condition: Expression,
        domain: Sequence[Expression],
        hulls: Sequence[Callable[[Posed, Sequence[Fraction]], bool]],
        x: Sequence[Fraction],
        y: Sequence[Fraction],
    ) -> bool:
        """Whether ``x`` (what the network consumes) lies in the set, ``domain`` is true, and ``condition`` is not.

        ``hulls`` say whether what networks compute inside is where it has to be.
        """
        if not posed.inputs.contains(x) or not all(holds(posed, y) for holds in hulls):
            return False
        at = self._at(posed, x, y)
        inside = all(is_true(evaluate_expression(part, at)) for part in domain)
        return inside and not is_true(evaluate_expression(condition, at))

    def in_domain(self, posed: Posed, domain: Sequence[Expression], x: Sequence[Fraction]) -> bool:
        """Whether ``x`` lies in the set, and ``domain``, which speaks of inputs only, is true."""
        at = self._at(posed, x, ())
        return posed.inputs.contains(x) and all(is_true(evaluate_expression(part, at)) for part in domain)

    def _at(self, posed: Posed, x: Sequence[Fraction], y: Sequence[Fraction]) -> Numbers:
        raw = posed.inputs.to_raw(x)
        values, labels, start = _Values(self.lets), {}, 0
        for one in posed.sets:
            own = raw[start : start + one.size]
            values[one.name] = Tensor.of(own, one.shape, one.names)
            start += one.size
            label = one.label_at(own)
            if label is not None:
                labels[one.name] = label
        values.at = Numbers(values, lambda node: self.poser.values(posed, node, x, y), labels)
        return values.at


class _Values(dict[str, Any]):
    """Inputs by name, and ``let`` evaluated when one is asked for: a requirement need not be about all inputs."""

    def __init__(self, lets: Mapping[str, Expression]) -> None:
        super().__init__()
        self._lets = lets
        self.at: Numbers

    def __missing__(self, name: str) -> Any:
        self[name] = evaluate_expression(self._lets[name], self.at)
        return self[name]
