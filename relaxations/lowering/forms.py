"""Tensors as affine functions of the sources (the input and the ReLU layers), and what affine operators do to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import Any

import numpy as np

from relaxations.maps import Diagonal, Gather, Identity, LinearMap, Matrix, dense, push
from relaxations.maps.composing import add, compose, stored
from relaxations.maps.elementwise import gather

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Form:
    """A tensor as ``sum of map(source) + bias``, flat, in row-major order."""

    terms: dict[int, Matrix]
    bias: np.ndarray
    shape: Shape

    @property
    def constant(self) -> bool:
        return not self.terms

    @property
    def value(self) -> np.ndarray:
        """The tensor, where it is constant."""
        return self.bias.reshape(self.shape)


def of_source(source: int, shape: Shape) -> Form:
    """All of one source."""
    size = prod(shape)
    return Form({source: Identity(size)}, np.zeros(size), shape)


def of_constant(value: np.ndarray) -> Form:
    return Form({}, value.reshape(-1), value.shape)


def mapped(form: Form, weight: Matrix, shape: Shape) -> Form:
    """A linear map of the tensor."""
    terms = {source: compose(weight, m) for source, m in form.terms.items()}
    return Form(terms, push(weight, form.bias.astype(float)), shape)


def shifted(form: Form, offset: Any) -> Form:
    return Form(form.terms, form.bias + offset, form.shape)


def taken(form: Form, index: np.ndarray, shape: Shape) -> Form:
    """Entry i of the result is entry ``index[i]``, or 0 where that is -1."""
    terms = form.terms
    if terms:
        selection = gather(index, len(form.bias))
        terms = {source: compose(selection, m) for source, m in terms.items()}
    return Form(terms, np.where(index >= 0, form.bias[np.maximum(index, 0)], 0), shape)


def moved(form: Form, move: Callable[[np.ndarray], np.ndarray], shape: Shape) -> Form:
    """What an operator that only moves elements makes of the tensor; ``move`` is that operator."""
    return taken(form, _places(form.shape, move), shape)


def broadcast(form: Form, shape: Shape) -> Form:
    return moved(form, lambda places: np.broadcast_to(places, shape), shape)


def scaled(form: Form, factor: Any) -> Form:
    """Every entry times its factor (a number, or one for each entry)."""
    factors = np.broadcast_to(np.asarray(factor, dtype=float), form.bias.shape)
    terms = {source: compose(Diagonal(factors), m) for source, m in form.terms.items()}
    return Form(terms, form.bias * factors, form.shape)


def total(a: Form, b: Form) -> Form:
    """The sum of two tensors of one shape."""
    terms = dict(a.terms)
    for source, weight in b.terms.items():
        terms[source] = add(terms[source], weight) if source in terms else weight
    return Form(terms, a.bias.astype(float) + b.bias, a.shape)


def difference(a: Form, b: Form) -> Form:
    return total(a, scaled(b, -1.0))


def interleaved(forms: Sequence[Form], operator: Callable[..., np.ndarray], shape: Shape) -> Form:
    """What an operator that only moves elements of several tensors makes of them: concatenation along any axis."""
    starts = np.cumsum([0, *(len(form.bias) for form in forms)])
    places = [start + np.arange(len(f.bias)).reshape(f.shape) for start, f in zip(starts, forms)]
    order = np.asarray(operator(*places)).reshape(-1).astype(int)
    return taken(concatenated(forms), order, shape)


def concatenated(forms: Sequence[Form]) -> Form:
    """The tensors flat, one after the other."""
    if len(forms) == 1:
        return Form(forms[0].terms, forms[0].bias, (len(forms[0].bias),))
    starts = np.cumsum([0, *(len(form.bias) for form in forms)])
    size = int(starts[-1])
    terms = {}
    for source in sorted({source for form in forms for source in form.terms}):
        blocks = [(int(start), f.terms[source]) for start, f in zip(starts, forms) if source in f.terms]
        terms[source] = _stacked(blocks, size)
    return Form(terms, np.concatenate([form.bias.astype(float) for form in forms]), (size,))


def _places(shape: Shape, move: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return np.asarray(move(np.arange(prod(shape)).reshape(shape))).reshape(-1).astype(int)


def _stacked(blocks: list[tuple[int, Matrix]], size: int) -> Matrix:
    """Maps of one source as the rows from each start on, zero elsewhere."""
    if all(isinstance(m, LinearMap) for _, m in blocks) or any(_structured(m) for _, m in blocks):
        return reduce(add, (compose(_from(start, m.shape[0], size), m) for start, m in blocks))
    matrix = np.zeros((size, blocks[0][1].shape[1]))
    for start, m in blocks:
        matrix[start : start + m.shape[0]] = dense(m)
    return stored(matrix)


def _structured(weight: Matrix) -> bool:
    return isinstance(weight, LinearMap) and not isinstance(weight, (Identity, Gather, Diagonal))


def _from(start: int, count: int, size: int) -> Matrix:
    places = np.arange(size) - start
    return gather(np.where((places >= 0) & (places < count), places, -1), count)
