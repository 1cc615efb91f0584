"""A program: ascents in another process, which moves over to what it compiles, while this one stays free of JAX.

Prints how the ascents were run: here, in the other process, there again after the tier has come back, and whether this
process is still clean.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from relaxations.bounds.ascent import Rates, ascend
from tests.unit.relaxations.ascents import Question, bounds, dense_network, question
from verifier.engine.phases import tier
from verifier.engine.phases.tier import Shape, Tier

RATES = Rates()
PATIENCE = 60.0


def part(one: Tier, asked: Question) -> tuple[Tier, str]:
    """Ascend until a program has run; also says how, or what went wrong."""
    deadline = time.monotonic() + PATIENCE
    expected = bounds(asked, ascend(*asked, 6, RATES))
    while True:
        np.testing.assert_allclose(bounds(asked, one.ascend(*asked, 6, RATES)), expected, atol=1e-3)
        if not one.compiles:
            return one, one.failure or "numpy"
        if any(shape.compiled for shape in one.shapes.values()):
            return one, "compiled"
        if time.monotonic() > deadline:
            return one, "never compiled"
        time.sleep(0.01)


def main() -> None:
    tier.WORTH_COMPILING = 0.0
    Shape.faster = lambda shape, rows, padded: True  # type: ignore[method-assign]
    one, asked = tier.tier("cpu", forks=True), question(dense_network(), 7, (1,), 3)
    words = [part(one, asked)[1]]
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        for _ in range(2):
            back, word = pool.submit(part, one, asked).result()
            assert back is one
            words.append(word)
    print(*words, "clean" if "jax" not in sys.modules else "JAX was loaded")


if __name__ == "__main__":
    main()
