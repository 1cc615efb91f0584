"""The draws that a plan's seed gives, from raw outputs of PCG64, and the reader of samplers."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import accumulate
from typing import Any

import numpy as np

from verifier.checker.errors import CheckError
from verifier.checker.statistics_ledger import hexadecimal, natural, rational

Box = tuple[list[float], list[float]]


def draw_again(content: dict[str, Any], rows: bytes) -> Iterator[list[float]]:
    """The points that the seed gives, from raw outputs of PCG64."""
    sampler = content["sampler"]
    if not isinstance(sampler, dict):
        raise CheckError("the plan names no sampler")
    generator = np.random.PCG64(natural(content["seed"]))
    kind = sampler.get("kind")
    if kind == "blocks":
        for part, count in zip(*read_blocks(sampler)):
            for _ in range(count):
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
    elif kind == "rows":
        count, size = natural(sampler.get("count")), natural(sampler.get("size"))
        if hashlib.sha256(rows).hexdigest() != sampler.get("sha256") or len(rows) != 8 * count * size or not rows:
            raise CheckError("the rows to draw from are not those of the plan")
        table = np.frombuffer(rows, dtype="<f8").reshape(count, size)
        while True:
            yield [float(v) for v in table[_below(count, generator)]]
    else:
        raise CheckError("the plan names no sampler that is known")


def _point(box: Box, generator: np.random.PCG64) -> list[float]:
    raw = [int(generator.random_raw()) for _ in box[0]]
    return [min(max(l + (r >> 11) * 2.0**-53 * (u - l), l), u) for r, l, u in zip(raw, *box)]


def _below(count: int, generator: np.random.PCG64) -> int:
    if not 1 <= count <= 1 << 63:
        raise CheckError("a choice among none, or among too many")
    while (raw := int(generator.random_raw())) >= (1 << 64) - (1 << 64) % count:
        pass
    return raw % count


def read_box(value: object) -> Box:
    if not isinstance(value, dict) or not all(isinstance(value.get(key), list) for key in ("lower", "upper")):
        raise CheckError("a box has a lower and an upper end")
    lower, upper = ([hexadecimal(v) for v in value[key]] for key in ("lower", "upper"))
    if len(lower) != len(upper) or not lower or not all(l <= u and u - l < math.inf for l, u in zip(lower, upper)):
        raise CheckError("the sides of a box have to be in order")
    return lower, upper


def read_blocks(sampler: object) -> tuple[list[Box], list[int]]:
    parts = read_parts(sampler)
    counts = sampler.get("counts") if isinstance(sampler, dict) else None
    if not isinstance(counts, list) or len(counts) != len(parts):
        raise CheckError("there is no count of draws for each block")
    return parts, [natural(count) for count in counts]


def read_mixture(sampler: object) -> tuple[list[Fraction], list[Box]]:
    parts = read_parts(sampler)
    stated = sampler.get("weights") if isinstance(sampler, dict) else None
    weights = [rational(w) for w in stated] if isinstance(stated, list) else []
    if len(weights) != len(parts) or sum(weights) != 1 or min(weights) <= 0:
        raise CheckError("a mixture has a positive weight for each part, of sum 1")
    return weights, parts


def read_parts(sampler: object) -> list[Box]:
    parts = sampler.get("parts") if isinstance(sampler, dict) else None
    if not isinstance(parts, list) or not parts:
        raise CheckError("a sampler has no parts")
    boxes = [read_box(part) for part in parts]
    if len({len(lower) for lower, _ in boxes}) != 1:
        raise CheckError("the parts of a sampler have different sizes")
    return boxes
