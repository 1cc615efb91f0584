"""A named array of scalars of any kind: numbers when an expression is evaluated, terms when it is compiled."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specs.language.expressions.expression import ExpressionFault


@dataclass(frozen=True, eq=False)
class Tensor:
    """Values in their shape, without leading axes of length 1; ``names`` maps names to flat indices."""

    values: NDArray[np.object_]
    names: Mapping[str, int] = field(default_factory=dict)

    @staticmethod
    def of(values: Sequence[object], shape: Sequence[int] = (), names: Sequence[str] = ()) -> Tensor:
        """``values`` in row-major ``shape`` (a vector by default)."""
        kept = list(shape) or [len(values)]
        while len(kept) > 1 and kept[0] == 1:
            kept.pop(0)
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return Tensor(array.reshape(kept), {name: index for index, name in enumerate(names)})

    def flat(self) -> list[Any]:
        return list(self.values.reshape(-1))

    def map(self, function: Callable[[Any], object]) -> Tensor:
        return Tensor.of([function(value) for value in self.flat()], self.values.shape)

    def named(self, node: ast.Attribute) -> Any:
        """The element of this name."""
        if node.attr not in self.names:
            known = ", ".join(self.names) or "none: give names to inputs, output_names to the model"
            raise ExpressionFault(f"no element is called {node.attr!r} (names are {known})", node.col_offset)
        return self.values.reshape(-1)[self.names[node.attr]]

    def at(self, node: ast.Subscript, integer: Callable[[ast.expr], int], text: str) -> Any:
        """The element or sub-tensor ``self[...]``, counted as Python does; ``integer`` evaluates an index."""

        def key(part: ast.expr) -> int | slice:
            if isinstance(part, ast.Slice):
                ends = (None if end is None else integer(end) for end in (part.lower, part.upper, part.step))
                return slice(*ends)
            return integer(part)

        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        try:
            found = self.values[tuple(key(part) for part in parts)]
        except (IndexError, ValueError):
            shape = list(self.values.shape)
            size = f"{self.values.size} values" + (f" in shape {shape}" if len(shape) > 1 else "")
            whole, part = ast.get_source_segment(text, node.value), ast.get_source_segment(text, node)
            raise ExpressionFault(f"{whole} has {size}; {part} is out of range", node.col_offset) from None
        return Tensor(found) if isinstance(found, np.ndarray) else found


def pairwise(a: object, b: object, function: Callable[[Any, Any], Any], column: int) -> Any:
    """``function`` on two scalars, or element by element when one or both are tensors of the same shape."""
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        return function(a, b)
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.values.shape != b.values.shape:
            raise ExpressionFault(
                f"shapes {list(a.values.shape)} and {list(b.values.shape)} differ; one side may also be a single value",
                column,
            )
        pairs = zip(a.flat(), b.flat())
        return Tensor.of([function(left, right) for left, right in pairs], a.values.shape)
    if isinstance(a, Tensor):
        return a.map(lambda value: function(value, b))
    return b.map(lambda value: function(a, value)) if isinstance(b, Tensor) else function(a, b)
