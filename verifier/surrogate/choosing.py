"""Which questions to learn from: uniform ones, ones that two networks dispute, ones where the surrogate is least."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from specs.language.schema.surrogate import Selection
from verifier.surrogate.network import Network, train

ROUNDS = 8
POOL = 8  # candidates for each question that is chosen among them
STEPS = 600  # of training between rounds
SMALL = 24  # neurons of the networks whose disagreement counts
SEARCHES = 6  # steps of the search for small values, each with half the reach of the one before

Shown = Callable[[np.ndarray], np.ndarray | None]
"""What is shown at a point (d,), in one vector; None where it is not finite."""


def schedule(queries: int, select: Sequence[Selection]) -> list[list[tuple[Selection, int]]]:
    """How many questions of each kind, round by round; all kinds get the same number, up to one.

    The first round is uniform, because nothing is known yet: part of the share of ``random``, or of all others.
    """
    if tuple(select) == ("random",):
        return [[("random", queries)]]
    first = -(-queries // ROUNDS)
    among = queries if "random" in select else queries - first
    shares = {kind: among // len(select) + (k < among % len(select)) for k, kind in enumerate(select)}
    if "random" in shares:
        shares["random"] = max(shares["random"] - first, 0)
    later = ROUNDS - 1
    rounds: list[list[tuple[Selection, int]]] = [[("random", first)]]
    rounds += [[(kind, n * r // later - n * (r - 1) // later) for kind, n in shares.items()] for r in range(1, ROUNDS)]
    return [[(kind, n) for kind, n in one if n] for one in rounds]


def candidates(
    wanted: Sequence[tuple[Selection, int]],
    arch: Sequence[int],
    box: tuple[np.ndarray, np.ndarray],
    seen: tuple[np.ndarray, np.ndarray],
    shown: Shown,
    rng: np.random.Generator,
) -> Iterator[tuple[Selection, np.ndarray]]:
    """Points to ask about and why, from what was ``seen`` (shown and answers) before this round.

    The same for the same arguments. Behind those that are wanted come uniform ones, for points that fall together.
    """
    learned = len(seen[1]) > 1
    for kind, count in wanted:
        if kind == "random" or not learned:
            points = [_uniform(box, rng) for _ in range(count)]
        else:
            pool = [x for x in (_uniform(box, rng) for _ in range(POOL * count)) if shown(x) is not None]
            if kind == "disagreement":
                points = _disputed(count, arch[0], seen, shown, pool, rng)
            else:
                points = _least(count, arch, box, seen, shown, pool, rng)
        for x in points:
            yield kind, x
    for _ in range(sum(count for _, count in wanted)):
        yield "random", _uniform(box, rng)


def _uniform(box: tuple[np.ndarray, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    lower, upper = box
    return np.clip(lower + rng.random(len(lower)) * (upper - lower), lower, upper)


def _disputed(
    count: int,
    size: int,
    seen: tuple[np.ndarray, np.ndarray],
    shown: Shown,
    pool: list[np.ndarray],
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """Where two small networks with different random weights at the start differ most."""
    first, second = (train((size, SMALL, 1), *seen, STEPS, rng) for _ in range(2))
    rows = _rows(pool, shown)
    order = np.argsort(-np.abs(first(rows) - second(rows)), kind="stable")
    return [pool[i] for i in order[:count]]


def _least(
    count: int,
    arch: Sequence[int],
    box: tuple[np.ndarray, np.ndarray],
    seen: tuple[np.ndarray, np.ndarray],
    shown: Shown,
    pool: list[np.ndarray],
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """Where the surrogate so far is least: the least of the pool, moved downwards at random."""
    surrogate: Network = train(arch, *seen, STEPS, rng)
    values = surrogate(_rows(pool, shown))
    order = np.argsort(values, kind="stable")[: 2 * count]
    points, values = [pool[i] for i in order], values[order]
    lower, upper = box
    for step in range(SEARCHES):
        reach = 0.25 * 0.5**step * (upper - lower)
        moved = [np.clip(x + reach * rng.normal(size=len(x)), lower, upper) for x in points]
        usable = [k for k, x in enumerate(moved) if shown(x) is not None]
        found = surrogate(_rows([moved[k] for k in usable], shown)) if usable else np.zeros(0)
        for k, value in zip(usable, found):
            if value < values[k]:
                points[k], values[k] = moved[k], value
    return [points[i] for i in np.argsort(values, kind="stable")[:count]]


def _rows(points: Sequence[np.ndarray], shown: Shown) -> np.ndarray:
    return np.array([shown(x) for x in points])
