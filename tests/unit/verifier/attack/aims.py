"""Small networks and targets whose least values are known by hand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from relaxations.bounds.boxes import Rows
from relaxations.network import Layer, ReluNetwork
from verifier.attack.group import GroupAttack
from verifier.attack.pgd import Attempt
from verifier.attack.targets import Targets
from verifier.engine.deadline import Deadline


def rows(y: Sequence[Sequence[float]], constant: Sequence[float], inputs: int) -> Rows:
    """Rows over outputs only."""
    coefs = np.array(y, dtype=float)
    return Rows(np.zeros((len(constant), inputs)), coefs, np.array(constant, dtype=float))


def relu_network(*weights: tuple[np.ndarray, np.ndarray]) -> ReluNetwork:
    """Dense layers one after the other, ReLUs between them."""
    layers = [Layer(((k, w),), b) for k, (w, b) in enumerate(weights)]
    return ReluNetwork(weights[0][0].shape[1], tuple(layers[:-1]), layers[-1])


def random_network(seed: int, *sizes: int) -> ReluNetwork:
    rng = np.random.default_rng(seed)
    weights = ((rng.normal(size=(b, a)) / a**0.5, rng.normal(size=b) / 2) for a, b in pairwise(sizes))
    return relu_network(*weights)


def plateau(inputs: int, from_sum: float) -> ReluNetwork:
    """``1 - relu(sum of inputs - from_sum)``: flat but for one corner of [0, 1]^inputs."""
    return relu_network((np.ones((1, inputs)), np.array([-from_sum])), (np.array([[-1.0]]), np.array([1.0])))


def attack(
    network: ReluNetwork,
    targets: Targets,
    count: int = 48,
    seed: int = 0,
    seconds: float = 20.0,
    attained: np.ndarray | None = None,
    begin: Sequence[tuple[int, np.ndarray]] = (),
) -> list[tuple[int, Attempt]]:
    """What is found below 0; there is time for all of it."""
    stop_at, deadline = np.zeros(targets.count), Deadline.after(seconds)
    return GroupAttack(network, targets, count, seed, stop_at, deadline, attained, begin).run()
