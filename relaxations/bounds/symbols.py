"""A zonotope found forward, layer by layer: ranges of every neuron where there are few inputs.

As in ``forward``, but every unstable ReLU gets a symbol of its own instead of a remainder in which its sign is lost.
A layer costs one forward pass for each symbol there is, however many of its neurons are in doubt.

Source: Singh et al. 2018 (DeepZ), NeurIPS.
"""

from __future__ import annotations

import numpy as np

from relaxations.bounds.forward import Form, interval, of_input, through_affine, through_relu
from relaxations.functions.relu import lines
from relaxations.network import Layer, ReluNetwork

CELLS = 1 << 25  # coefficients of one layer; beyond, its ReLUs have remainders; bounds memory


class Symbols:
    """Forms of a network's layers on the box ``|x - mid| <= rad`` (inputs,), in the network's precision.

    For each layer in turn ``range_of`` is called, and then ``relu`` with the ranges that are known by then.
    """

    def __init__(self, network: ReluNetwork, mid: np.ndarray, rad: np.ndarray) -> None:
        self.widths = network.widths
        self.rad = rad
        self.forms = [of_input(mid[None], np)]
        self.argument = self.forms[0]

    def range_of(self, layer: Layer) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bounds (n,) of the next layer's values, up to rounding."""
        known = {source: self._padded(self.forms[source]) for source, _ in layer.terms}
        magnitudes = Layer(tuple((source, abs(weight)) for source, weight in layer.terms), layer.bias)
        forms = [known.get(source, form) for source, form in enumerate(self.forms)]
        self.argument = through_affine(layer, magnitudes, forms)
        ones = np.ones(self.argument.generators.shape[1] - len(self.rad), dtype=self.rad.dtype)
        lower, upper = interval(self.argument, np.concatenate([self.rad, ones])[None], np)
        return lower[0], upper[0]

    def relu(self, lower: np.ndarray, upper: np.ndarray) -> None:
        """The layer's outputs, where its values are in these ranges (n,)."""
        drawn = lines(lower[None], upper[None], np)
        form = through_relu(self.argument, drawn)
        half = drawn.upper_offset[0] / 2
        unstable = np.flatnonzero(half)
        count = self._count
        if (count + len(unstable)) * max(self.widths[len(self.forms) :]) <= CELLS:
            new = np.zeros((1, count + len(unstable), len(half)), dtype=half.dtype)
            new[:, : form.generators.shape[1]] = form.generators
            new[0, count + np.arange(len(unstable)), unstable] = half[unstable]
            form = Form(new, form.center, form.remainder - half)
        self.forms.append(form)

    @property
    def _count(self) -> int:
        return max(form.generators.shape[1] for form in self.forms)

    def _padded(self, form: Form) -> Form:
        missing = self._count - form.generators.shape[1]
        if not missing:
            return form
        return form._replace(generators=np.pad(form.generators, ((0, 0), (0, missing), (0, 0))))
