"""A PyTorch program as plain values: what every kind of PyTorch file is reduced to before it becomes a graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Ref:
    """The value called ``name``."""

    name: str


@dataclass(frozen=True)
class Call:
    """``outputs = target(**arguments)``; ``target`` like ``aten.linear.default``.

    ``results`` are the names of the results; a result that is a list of tensors has one name per element.
    Arguments are numbers, booleans, strings, None, ``Ref`` and lists of these.
    """

    name: str
    target: str
    arguments: Mapping[str, object]
    results: tuple[str, ...]


@dataclass(frozen=True)
class Program:
    """Straight-line code: ``inputs`` with static shapes, ``tensors`` known beforehand, then ``calls`` in order."""

    inputs: Mapping[str, tuple[int, ...]]
    tensors: Mapping[str, NDArray[np.generic]]
    calls: tuple[Call, ...]
    outputs: tuple[str, ...]
    scalars: Mapping[str, object] = field(default_factory=dict)
