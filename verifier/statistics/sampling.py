"""Independent draws from a stated law, from a seed: whoever has the plan can draw them again, bit for bit.

The generator is PCG64 (O'Neill 2014) seeded through NumPy's SeedSequence; a uniform number is the upper 53 bits of a
raw output. Choices among finitely many are made without bias, by rejection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from math import lcm, ulp
from typing import Any

import numpy as np

FEWEST_STEPS = 1 << 20  # of float64 from one end of a side to the other, if they differ


@dataclass(frozen=True)
class Box:
    """Uniform on a box: on 2**53 points of each side, rounded to float64. A side may be a point."""

    lower: tuple[float, ...]
    upper: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.lower) != len(self.upper) or not all(
            np.isfinite(u - l) and l <= u for l, u in zip(self.lower, self.upper)
        ):
            raise ValueError("the sides of a box have to be finite and in order")
        if any(0 < u - l < FEWEST_STEPS * ulp(max(abs(l), abs(u))) for l, u in zip(self.lower, self.upper)):
            raise ValueError("a side of a box is so thin that draws in float64 do not stand for the law")

    def to_json(self) -> dict[str, Any]:
        return {"kind": "box", "lower": [v.hex() for v in self.lower], "upper": [v.hex() for v in self.upper]}


@dataclass(frozen=True)
class Mixture:
    """One of several boxes, box k with probability ``weights[k]``."""

    weights: tuple[Fraction, ...]
    parts: tuple[Box, ...]

    def __post_init__(self) -> None:
        if len(self.weights) != len(self.parts) or sum(self.weights) != 1 or min(self.weights) <= 0:
            raise ValueError("a mixture has a positive weight for each part, of sum 1")
        if lcm(*(weight.denominator for weight in self.weights)) > 1 << 63:
            raise ValueError("the weights of a mixture have no common denominator up to 2**63")

    def to_json(self) -> dict[str, Any]:
        return {"kind": "mixture", "weights": list(map(str, self.weights)), "parts": [p.to_json() for p in self.parts]}


@dataclass(frozen=True)
class Rows:
    """One of ``count`` rows of a file of float64 with this hash, each as likely, with replacement."""

    count: int
    size: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        return {"kind": "rows", "count": self.count, "size": self.size, "sha256": self.sha256}


@dataclass(frozen=True)
class Blocks:
    """Uniform on one box after another: ``counts[k]`` draws from box k."""

    counts: tuple[int, ...]
    parts: tuple[Box, ...]

    def to_json(self) -> dict[str, Any]:
        return {"kind": "blocks", "counts": list(self.counts), "parts": [p.to_json() for p in self.parts]}


@dataclass(frozen=True)
class Seeds:
    """Draw k is the number k: the seed of the k-th run of a program whose only argument is its seed."""

    def to_json(self) -> dict[str, Any]:
        return {"kind": "seeds"}


@dataclass(frozen=True)
class Sample:
    """The rows of a file of float64 with this hash, in order, each once: they are declared to be draws of a law."""

    count: int
    size: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        return {"kind": "sample", "count": self.count, "size": self.size, "sha256": self.sha256}


Sampler = Box | Mixture | Rows | Blocks | Seeds | Sample


def draws(sampler: Sampler, seed: int, data: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Points (d,) of float64, without end but for blocks and samples.

    ``data`` (count, size) are the rows of ``Rows`` or of a ``Sample``.
    """
    if isinstance(sampler, Seeds):
        yield from (np.array([float(number)]) for number in count())
    if isinstance(sampler, Sample):
        yield from _rows(sampler, data).astype(float)
        return
    generator = np.random.Generator(np.random.PCG64(seed))
    if isinstance(sampler, Blocks):
        for number, part in zip(sampler.counts, sampler.parts, strict=True):
            for _ in range(number):
                yield _in_box(part, generator)
        return
    while True:
        if isinstance(sampler, Box):
            yield _in_box(sampler, generator)
        elif isinstance(sampler, Mixture):
            common = lcm(*(w.denominator for w in sampler.weights))
            left = _below(common, generator)
            for weight, part in zip(sampler.weights, sampler.parts, strict=True):
                left -= int(weight * common)
                if left < 0:
                    yield _in_box(part, generator)
                    break
        else:
            yield np.array(_rows(sampler, data)[_below(sampler.count, generator)], dtype=float)


def _rows(sampler: Rows | Sample, data: np.ndarray | None) -> np.ndarray:
    if data is None or data.shape != (sampler.count, sampler.size):
        raise ValueError("the rows to draw from are missing or of another shape")
    return data


def _in_box(box: Box, generator: np.random.Generator) -> np.ndarray:
    lower, upper = np.array(box.lower), np.array(box.upper)
    return np.clip(lower + generator.random(len(lower)) * (upper - lower), lower, upper)


def _below(count: int, generator: np.random.Generator) -> int:
    """A number from 0 and below ``count``, each as likely."""
    usable = 2**64 - 2**64 % count
    while True:
        raw = int(generator.bit_generator.random_raw())
        if raw < usable:
            return raw % count


def sampler_from_json(value: Mapping[str, Any]) -> Sampler:
    """The sampler; raises ``ValueError``, ``KeyError`` or ``TypeError`` for anything else."""
    kind = value["kind"]
    if kind == "box":
        return _box(value)
    if kind == "mixture":
        return Mixture(tuple(map(Fraction, value["weights"])), tuple(map(_box, value["parts"])))
    if kind == "blocks":
        return Blocks(tuple(map(int, value["counts"])), tuple(map(_box, value["parts"])))
    if kind == "rows":
        return Rows(int(value["count"]), int(value["size"]), str(value["sha256"]))
    if kind == "sample":
        return Sample(int(value["count"]), int(value["size"]), str(value["sha256"]))
    if kind == "seeds":
        return Seeds()
    raise ValueError(f"unknown sampler {kind!r}")


def _box(value: Mapping[str, Any]) -> Box:
    return Box(tuple(map(float.fromhex, value["lower"])), tuple(map(float.fromhex, value["upper"])))
