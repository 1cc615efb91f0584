"""Composed statements about a disc in a square, made honestly, and taken apart again by a forger."""

from __future__ import annotations

import io
import json
import math
import zipfile
from dataclasses import dataclass

import numpy as np

from tests.checker.statements import F, asking
from verifier.checker.errors import CheckError
from verifier.checker.relaxed_checker import read_relaxed, verdict_on_relaxed
from verifier.relaxed_checker.asking import Flags, Misses
from verifier.relaxed_checker.compose import Natural, compose
from verifier.relaxed_checker.plans import calibration_plan, domination_plan
from verifier.relaxed_checker.statements import Stated
from verifier.statistics.queries import ask_all
from verifier.statistics.sampling import Box
from verifier.statistics.statement import write_statement

SQUARE = Box((0.0, 0.0), (1.0, 1.0))
NATURE, TAU, CONFIDENCE = "points near a corner", F(1, 2), F(99, 100)


class Corner:
    """The overseer: objects within 1/4 of (1, 1)."""

    name, sha256 = "corner.py:judge", "c" * 64

    def ask(self, arguments, seconds):
        return math.dist(arguments[0], (1, 1)) - 0.25


@dataclass
class Near:
    """A relaxed checker that flags what is within a radius of (1, 1); a small one makes it inconsistent."""

    radius: float = 0.3
    name: str = "near"

    @property
    def sha256(self) -> str:
        return f"{round(self.radius * 1000):064d}"

    def value(self, state):
        return float(math.dist(state, (1, 1)) < self.radius)

    guide = value


class Same:
    """States are inputs."""

    name, sha256 = "the input itself", "e" * 64

    def __call__(self, x):
        return list(x)


def natural_inputs(count: int, seed: int = 3) -> np.ndarray:
    """Draws of nature's law: uniform on [1/2, 1]^2, so its density over the square's is 4."""
    return 0.5 + np.random.default_rng(seed).random((count, 2)) / 2


def make(folder, radius=0.3, flags=300, inputs=400, tau=TAU, kappa=None, nature=NATURE, level=CONFIDENCE):
    """The files of flags and of misses with what they state, and who answered the second."""
    checker = Near(radius)
    misses = Misses(checker, Same(), Corner(), tau)
    data = natural_inputs(inputs)
    made = []
    proposed = domination_plan("flagged", SQUARE, 7, flags, tau, level, nature, kappa or F(4))
    for name, overseer, plan, rows in (
        ("flagged", Flags(checker), proposed, None),
        ("missed", misses, calibration_plan("missed", data, NATURE, level), data),
    ):
        with asking(folder / f"{name}.jsonl", overseer) as queries:
            ask_all(queries, plan, lambda x: [x], rows)
        file = folder / f"{name}.nnstat"
        made.append(Stated(file, write_statement(file, folder / f"{name}.jsonl", name, rows)))
    return made[0], made[1], misses


def composed(folder, **options) -> tuple[bytes, Natural]:
    flagged, missed, misses = make(folder, **options)
    natural = compose(folder / "natural.nnstat", flagged, missed, misses)
    return (folder / "natural.nnstat").read_bytes(), natural


def verdict(data: bytes):
    return verdict_on_relaxed(read_relaxed(data))


def passes(data: bytes) -> bool:
    try:
        return verdict(data).accepted
    except CheckError:
        return False


def parts_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def repacked(parts: dict[str, bytes], compression=zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def restated(data: bytes, **changes) -> bytes:
    parts = parts_of(data)
    manifest = json.loads(parts["composition.json"])
    changed = {**manifest, **changes}
    return repacked({**parts, "composition.json": json.dumps(changed).encode()})
