"""What a relaxed attack is made of, whichever relaxation it comes from.

Signs are those of ``relaxations``: it wants a high score, and one that is not negative stands in the way of a proof.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import ClassVar

import numpy as np

from relaxations.actions import Point

CLAIM = "NOT a counterexample: a point of a relaxation, to which no input of the network need correspond"


@dataclass(frozen=True)
class Units:
    """By layer (n_k,): pre-activations and outputs of the action, the ranges of the pre-activations it relies on, and
    the slopes of the lower lines (None where outputs lie in triangles)."""

    z: tuple[np.ndarray, ...]
    a: tuple[np.ndarray, ...]
    lower: tuple[np.ndarray, ...]
    upper: tuple[np.ndarray, ...]
    below: tuple[np.ndarray, ...] | None = None

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(map(len, self.z))


@dataclass(frozen=True)
class PointAction:
    """An input (n,) and what every unit does; ``units`` is None where they are not told."""

    kind: ClassVar[str] = "point"
    x: np.ndarray
    units: Units | None

    @property
    def point(self) -> Point:
        """The action as relaxations know it; only where there are units."""
        assert self.units is not None
        return Point(self.x, self.units.z, self.units.a)


@dataclass(frozen=True)
class Moments:
    """Second moments (s, s) of the symbols, as a matrix or as a factor V (s, r) of it, M = V V'.

    Symbols are ``1`` (first), ``x3``, and ``a0.7`` for the output of layer 0's neuron 7. Neurons without a symbol are
    stable in the ranges ``lower[k] <= z <= upper[k]``.
    """

    kind: ClassVar[str] = "moments"
    symbols: tuple[str, ...]
    values: np.ndarray
    factor: bool
    lower: tuple[np.ndarray, ...]
    upper: tuple[np.ndarray, ...]

    @property
    def matrix(self) -> np.ndarray:
        return self.values @ self.values.T if self.factor else self.values


@dataclass(frozen=True)
class PseudoMoments:
    """``values`` (m,) of the monomials with ``exponents`` (m, s - 1) in the symbols but ``1``; see ``Moments``."""

    kind: ClassVar[str] = "pseudo-moments"
    symbols: tuple[str, ...]
    exponents: np.ndarray
    values: np.ndarray
    lower: tuple[np.ndarray, ...]
    upper: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Assignment:
    """Exact values of symbols ``x3``, ``z0.7`` and ``a0.7``: what a solver over the rationals found consistent."""

    kind: ClassVar[str] = "model"
    values: Mapping[str, Fraction]


@dataclass(frozen=True)
class Outputs:
    """An input (n,) and outputs ``y`` (m,) of the model anywhere in [``lower``, ``upper``], whatever the input is.

    Nothing is said of how the model computes them, so that there is such an action for every model.
    """

    kind: ClassVar[str] = "outputs"
    x: np.ndarray
    y: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


Content = PointAction | Moments | PseudoMoments | Assignment | Outputs


@dataclass(frozen=True)
class File:
    """A file the attack is about: its SHA-256 and where the producer found it."""

    sha256: str
    path: str


@dataclass(frozen=True)
class RelaxedFile:
    """Everything in a file. ``case`` is the index among the cases of the compiled question.

    ``lower``, ``upper`` (n,) are the box of the node the action belongs to and ``splits`` its phases (layer, neuron,
    +1 active or -1 inactive). ``rows`` (R,) are the values of the case's rows for the action, ``score`` is
    ``-weights @ rows``, or ``-max(rows)`` where ``weights`` is None. What is told holds within ``tolerance``.
    """

    relaxation: str
    case: int
    lower: np.ndarray
    upper: np.ndarray
    rows: np.ndarray
    score: float
    content: Content
    model: File
    query: File
    splits: tuple[tuple[int, int, int], ...] = ()
    weights: np.ndarray | None = None
    tolerance: float = 1e-6
    note: str = ""
    producer: Mapping[str, str] = field(default_factory=dict)


def split(values: np.ndarray, widths: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """One array for all layers as one for each."""
    return tuple(np.split(values, np.cumsum(widths)[:-1])) if widths else ()


def joined(layers: tuple[np.ndarray, ...]) -> np.ndarray:
    """The arrays of all layers as one."""
    return np.concatenate(layers) if layers else np.zeros(0)


def arrays_of(content: Content) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of a content by the names of their members, in the order of the file."""
    if isinstance(content, PointAction):
        yield "x", content.x
        if content.units is not None:
            for name in ("z", "a", "lower", "upper"):
                yield name, joined(getattr(content.units, name))
            if content.units.below is not None:
                yield "below", joined(content.units.below)
    elif isinstance(content, Moments):
        yield ("factor" if content.factor else "matrix"), content.values.reshape(-1)
        yield from (("lower", joined(content.lower)), ("upper", joined(content.upper)))
    elif isinstance(content, Outputs):
        for name in ("x", "y", "lower", "upper"):
            yield name, getattr(content, name)
    elif isinstance(content, PseudoMoments):
        yield "exponents", content.exponents.reshape(-1)
        yield "values", content.values
        yield from (("lower", joined(content.lower)), ("upper", joined(content.upper)))
