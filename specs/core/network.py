"""Forms as a network of matrix products and ReLUs, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from specs.compose import Composer
from specs.core.forms import Affine, Tape
from specs.errors import SpecError
from specs.graph import Graph, ops
from specs.language.expressions.exact import exactly, narrow


def network(tape: Tape, forms: Sequence[Affine], names: Sequence[str], sizes: Sequence[int], line: int) -> Graph:
    """The forms as one flat output; input k is a vector of ``sizes[k]`` of the tape's inputs, called ``names[k]``.

    Every positive part that is needed is one unit, as early as its arguments allow. ``line`` is where the forms
    stand in the source. Raises ``SpecError`` with a line at a coefficient that float64 does not hold.
    """
    composer = Composer()
    inputs = [composer.input(name, (size,)) for name, size in zip(names, sizes)]
    values = composer.joined(inputs)
    places = {i: i for i in range(tape.n_inputs)}
    needed = sorted(atom for atom in tape.support([a for f in forms for a, _ in f.terms]) if atom >= tape.n_inputs)
    depth: dict[int, int] = {}
    for atom in needed:
        terms = tape.parts[atom - tape.n_inputs].form.terms
        depth[atom] = 1 + max(depth.get(a, 0) for a, _ in terms)
    for level in range(1, max(depth.values(), default=0) + 1):
        layer = [atom for atom in needed if depth[atom] == level]
        rows = [tape.parts[atom - tape.n_inputs] for atom in layer]
        before = _affine(composer, values, places, [(part.form, part.line) for part in rows])
        values = composer.joined([values, composer.add(ops.Relu(), before, name=f"relu{level}")])
        for atom in layer:
            places[atom] = len(places)
    output = _affine(composer, values, places, [(form, line) for form in forms])
    return composer.build(inputs, [output])


def _affine(composer: Composer, values: str, places: dict[int, int], rows: Sequence[tuple[Affine, int]]) -> str:
    matrix, offset = np.zeros((len(rows), len(places))), np.zeros(len(rows))
    for i, (form, line) in enumerate(rows):
        offset[i] = _exact(form.constant, line)
        for atom, c in form.terms:
            matrix[i, places[atom]] = _exact(c, line)
    weight, bias = composer.constant(narrow(matrix), "weight"), composer.constant(narrow(offset), "offset")
    product = composer.add(ops.MatMul(), weight, values)
    return composer.add(ops.Add(), product, bias) if offset.any() else product


def _exact(value: Fraction, line: int) -> float:
    try:
        return exactly(value)
    except ValueError as error:
        raise SpecError(str(error), line=line) from None
