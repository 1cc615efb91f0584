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

CELLS = (1 << 27) - (1 << 23)  # coefficients of forms that are alive or being made; less than the checker allows


class Symbols:
    """Forms of a network's layers on the box ``|x - mid| <= rad`` (inputs,), in the network's precision.

    For each layer in turn ``range_of`` is called, and then ``relu`` with the ranges that are known by then. Once the
    forms are too large for memory there are none any more: later ranges are infinite.
    """

    def __init__(self, network: ReluNetwork, mid: np.ndarray, rad: np.ndarray) -> None:
        self.rad, self.count, self.layer = rad, len(rad), 0
        self.argument = of_input(mid[None], np)
        self.forms = {0: self.argument}
        self.ended = len(mid) * max(network.widths) > CELLS
        self.last = {source: k for k, layer in enumerate(network.layers) for source, _ in layer.terms}

    def range_of(self, layer: Layer) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bounds (n,) of the next layer's values, up to rounding."""
        if not self._fits(self.count, len(layer.bias)):
            return np.full(len(layer.bias), -np.inf), np.full(len(layer.bias), np.inf)
        forms = {source: self._padded(self.forms[source]) for source, _ in layer.terms}
        self.argument = through_affine(layer, abs(layer), forms)
        ones = np.ones(self.count - len(self.rad), dtype=self.rad.dtype)
        lower, upper = interval(self.argument, np.concatenate([self.rad, ones])[None], np)
        return lower[0], upper[0]

    @property
    def influence(self) -> np.ndarray:
        """What each input adds to half the layer's ranges (inputs, n); nothing where there are no forms any more."""
        inputs = np.abs(self.argument.generators[0, : len(self.rad)]) * self.rad[:, None]
        return np.zeros_like(inputs) if self.ended else inputs

    def relu(self, lower: np.ndarray, upper: np.ndarray) -> None:
        """The layer's outputs, where its values are in these ranges (n,)."""
        self.layer += 1
        if self.ended:
            return
        drawn = lines(lower[None], upper[None], np)
        half = drawn.upper_offset[0] / 2
        unstable = np.flatnonzero(half)
        if self.layer in self.last and self._fits(self.count + len(unstable), len(half)):
            form = through_relu(self.argument, drawn)
            new = np.zeros((1, self.count + len(unstable), len(half)), dtype=half.dtype)
            new[:, : self.count] = form.generators
            new[0, self.count + np.arange(len(unstable)), unstable] = half[unstable]
            self.forms[self.layer] = Form(new, form.center, form.remainder - half)
            self.count += len(unstable)
        for source in [source for source in self.forms if self.last.get(source, 0) < self.layer]:
            del self.forms[source]

    def _fits(self, symbols: int, values: int) -> bool:
        """Whether there is room for one more form; if not, there is none for any other."""
        held = sum(form.generators.size for form in self.forms.values())
        if self.ended or held + 3 * symbols * values > CELLS:
            self.ended, self.forms = True, {}
        return not self.ended

    def _padded(self, form: Form) -> Form:
        missing = self.count - form.generators.shape[1]
        if not missing:
            return form
        return form._replace(generators=np.pad(form.generators, ((0, 0), (0, missing), (0, 0))))
