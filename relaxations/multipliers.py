"""Multipliers of what holds for single ReLUs: one certificate form for linear and semidefinite duals.

Write the two parts of a pre-activation as ``z = a - b`` with ``a = max(z, 0)`` and ``b = max(-z, 0)``, and ``L = -l``
for ``l <= z <= u``. On the graph of the ReLU, and for ``l < 0 < u``,

    positive  a >= 0            above  b >= 0           chord  u L - L a - u b >= 0
    product   a b = 0           back   b (L - b) >= 0

and, with a centre and a radius for every input and every ``a``, each of them is ``centre + radius e`` with e in
[-1, 1]. In a query's ball, of either norm, ``1 - sum ((x_i - c_i) / r_i)^2 >= 0``. Subtracting any multiples of these
from a row, not negative but for ``product``, can only lower it where they hold; what is left is a quadratic form in
(1, e), whose least value over [-1, 1]^N bounds the row from below.

Without ``product`` and ``back`` the form is linear and its least value is a sum of absolute values: this is the safe
dual bound of a linear program (Neumaier and Shcherbina 2004). With them, ``squares`` kappa >= 0 are added on the
diagonal until the form is positive semidefinite: then it is at least ``-sum(kappa)`` (the dual of Shor's relaxation,
Raghunathan, Steinhardt and Liang 2018, arXiv:1811.01057).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Multipliers:
    """A dual: ``weights`` (R,) of the rows, not negative and of sum 1, and by layer multipliers of unstable neurons.

    ``positive[k]``, ``above[k]``, ``chord[k]`` (m_k,) are those of the unstable neurons of layer k in ascending order.
    ``product`` (any sign), ``back`` and ``squares`` are None in a linear dual. ``squares`` (1 + n + sum m_k,) are those
    of the constant 1 (any sign), the inputs and all unstable neurons, layer by layer. ``ball`` >= 0 is that of the
    query's ball, 0 in a linear dual and where there is none.
    """

    weights: np.ndarray
    positive: tuple[np.ndarray, ...]
    above: tuple[np.ndarray, ...]
    chord: tuple[np.ndarray, ...]
    product: tuple[np.ndarray, ...] | None = None
    back: tuple[np.ndarray, ...] | None = None
    squares: np.ndarray | None = None
    ball: float = 0.0
