"""The draws that a plan's seed gives, from raw outputs of PCG64, and the reader of samplers."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import accumulate, count
from typing import Any

import numpy as np

from verifier.checker.errors import CheckError
from verifier.checker.statistics_ledger import HASH, hexadecimal, natural, rational

Box = tuple[list[float], list[float]]

SAMPLERS = {
    "box": {"kind", "lower", "upper"},
    "mixture": {"kind", "weights", "parts"},
    "rows": {"kind", "count", "size", "sha256"},
    "blocks": {"kind", "counts", "parts"},
    "seeds": {"kind"},
    "sample": {"kind", "count", "size", "sha256"},
}
FEWEST_STEPS = 1 << 20  # of float64 from one end of a side to the other
MOST_CHOICES = 1 << 63


def read_kind(sampler: object) -> str:
    """Which sampler it is. One with the keys of another as well could be read in two ways, so there is none."""
    kind = sampler.get("kind") if isinstance(sampler, dict) else None
    if not isinstance(sampler, dict) or not isinstance(kind, str) or set(sampler) != SAMPLERS.get(kind):
        raise CheckError("the plan names no sampler that is known")
    return kind


def draw_again(content: dict[str, Any], rows: bytes) -> Iterator[list[float]]:
    """The points that the seed gives, from raw outputs of PCG64."""
    sampler = content["sampler"]
    kind = read_kind(sampler)
    generator = np.random.PCG64(natural(content["seed"]))
    if kind == "seeds":
        yield from ([float(number)] for number in count())
    elif kind == "sample":
        yield from ([float(v) for v in row] for row in _table(sampler, rows))
    elif kind == "blocks":
        for part, times in zip(*read_blocks(sampler)):
            for _ in range(times):
                yield _point(part, generator)
    elif kind == "box":
        part = read_box(sampler)
        while True:
            yield _point(part, generator)
    elif kind == "mixture":
        weights, parts = read_mixture(sampler)
        common = math.lcm(*(w.denominator for w in weights))
        ends = list(accumulate(int(w * common) for w in weights))
        while True:
            chosen = _below(common, generator)
            yield _point(parts[next(k for k, end in enumerate(ends) if chosen < end)], generator)
    else:
        table = _table(sampler, rows)
        while True:
            yield [float(v) for v in table[_below(len(table), generator)]]


def _table(sampler: dict[str, Any], rows: bytes) -> np.ndarray:
    many, size, stated = natural(sampler["count"]), natural(sampler["size"]), sampler["sha256"]
    if not isinstance(stated, str) or not HASH.fullmatch(stated) or hashlib.sha256(rows).hexdigest() != stated:
        raise CheckError("the rows to draw from are not those of the plan")
    if len(rows) != 8 * many * size or not rows:
        raise CheckError("the rows to draw from are not as many as the plan says")
    return np.frombuffer(rows, dtype="<f8").reshape(many, size)


def _point(box: Box, generator: np.random.PCG64) -> list[float]:
    raw = [int(generator.random_raw()) for _ in box[0]]
    return [min(max(l + (r >> 11) * 2.0**-53 * (u - l), l), u) for r, l, u in zip(raw, *box)]


def _below(choices: int, generator: np.random.PCG64) -> int:
    if not 1 <= choices <= MOST_CHOICES:
        raise CheckError("a choice among none, or among too many")
    while (raw := int(generator.random_raw())) >= (1 << 64) - (1 << 64) % choices:
        pass
    return raw % choices


def read_box(value: object) -> Box:
    """A box; a side that is not a point has enough numbers of float64 to draw from."""
    if not isinstance(value, dict) or not all(isinstance(value.get(key), list) for key in ("lower", "upper")):
        raise CheckError("a box has a lower and an upper end")
    lower, upper = ([hexadecimal(v) for v in value[key]] for key in ("lower", "upper"))
    if len(lower) != len(upper) or not lower or not all(l <= u and u - l < math.inf for l, u in zip(lower, upper)):
        raise CheckError("the sides of a box have to be in order")
    if any(0 < u - l < FEWEST_STEPS * math.ulp(max(abs(l), abs(u))) for l, u in zip(lower, upper)):
        raise CheckError("a side of a box is so thin that draws in float64 do not stand for the law")
    return lower, upper


def read_blocks(sampler: dict[str, Any]) -> tuple[list[Box], list[int]]:
    parts, counts = read_parts(sampler), sampler["counts"]
    if not isinstance(counts, list) or len(counts) != len(parts):
        raise CheckError("there is no count of draws for each block")
    return parts, [natural(times) for times in counts]


def read_mixture(sampler: dict[str, Any]) -> tuple[list[Fraction], list[Box]]:
    parts, stated, common = read_parts(sampler), sampler["weights"], 1
    weights = [rational(w) for w in stated] if isinstance(stated, list) else []
    for weight in weights:
        common = math.lcm(common, weight.denominator)
        if common > MOST_CHOICES:
            raise CheckError("the weights of a mixture have no small common denominator")
    if len(weights) != len(parts) or sum(weights) != 1 or min(weights) <= 0:
        raise CheckError("a mixture has a positive weight for each part, of sum 1")
    return weights, parts


def read_parts(sampler: dict[str, Any]) -> list[Box]:
    parts = sampler["parts"]
    if not isinstance(parts, list) or not parts:
        raise CheckError("a sampler has no parts")
    if any(read_kind(part) != "box" for part in parts):
        raise CheckError("the parts of a sampler are boxes")
    boxes = [read_box(part) for part in parts]
    if len({len(lower) for lower, _ in boxes}) != 1:
        raise CheckError("the parts of a sampler have different sizes")
    return boxes
