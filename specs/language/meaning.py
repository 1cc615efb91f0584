"""What a requirement means at one point, evaluated directly from its expressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from specs.language.evaluate_expression import Numbers, evaluate_expression, is_true
from specs.language.expression import Expression
from specs.language.tensor import Tensor
from specs.sets import InputSet


@dataclass(frozen=True)
class Meaning:
    """Names and expressions of a specification; shares nothing with their compiled form but the syntax tree."""

    input_set: InputSet
    model: str
    output_shape: tuple[int, ...]
    output_names: tuple[str, ...]
    lets: tuple[tuple[str, Expression], ...]
    linear: tuple[Expression, ...]

    def is_violated(
        self, condition: Expression, where: Sequence[Expression], x: Sequence[Fraction], y: Sequence[Fraction]
    ) -> bool:
        """Whether ``x`` (what the model consumes) lies in the set, ``where`` is true, and ``condition`` is not."""
        if not self.input_set.contains(x):
            return False
        at = self._at(x, y)
        domain = all(is_true(evaluate_expression(part, at)) for part in (*self.linear, *where))
        return domain and not is_true(evaluate_expression(condition, at))

    def _at(self, x: Sequence[Fraction], y: Sequence[Fraction]) -> Numbers:
        name = self.input_set.name
        inputs = Tensor.of(self.input_set.to_raw(x), self.input_set.shape, self.input_set.names)
        outputs = Tensor.of(y, self.output_shape, self.output_names)
        values = {name: inputs}
        labels = {} if self.input_set.label is None else {name: self.input_set.label}
        at = Numbers(values, {self.model: {name: outputs}}, labels)
        for let, expression in self.lets:
            values[let] = evaluate_expression(expression, at)
        return at
