"""Gradients are those of the network, or of one whose ReLUs are smooth; descents see every point they visit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.verifier.attack.aims import plateau, random_network, relu_network, rows
from verifier.attack.pgd import Descents, descend, gradient
from verifier.attack.targets import Targets


def slopes(network: object, targets: Targets, points: np.ndarray, temperature: float) -> np.ndarray:
    seen, outputs = network.preactivations(points)  # type: ignore[attr-defined]
    chosen = targets.best_rows(targets.rows(points, outputs), np.zeros(len(points), dtype=np.int64))
    return gradient(network, targets, seen, chosen, np.full(len(points), temperature))  # type: ignore[arg-type]


def test_the_gradient_is_the_slope_of_the_value() -> None:
    network = random_network(1, 6, 15, 12, 4)
    rng = np.random.default_rng(2)
    case = rows(rng.normal(size=(3, 4)).tolist(), rng.normal(size=3).tolist(), 6)
    targets = Targets.of([case], [np.zeros(6)], [np.ones(6)])
    points = rng.random((5, 6))
    found = slopes(network, targets, points, 0.0)

    def value(x: np.ndarray) -> float:
        return float(targets.values(targets.rows(x[None], network.evaluate(x[None])))[0, 0])

    h = 1e-7
    for p, point in enumerate(points):
        expected = [(value(point + h * e) - value(point - h * e)) / (2 * h) for e in np.eye(6)]
        np.testing.assert_allclose(found[p], expected, atol=1e-6)
    assert np.abs(found).max() > 0.01


@pytest.mark.peer
def test_a_smooth_gradient_passes_logistic_shares() -> None:
    """The derivative of softplus at its scale is what every ReLU lets through; torch composes the layers."""
    torch = pytest.importorskip("torch")
    network = random_network(3, 5, 9, 7, 1)
    targets = Targets.of([rows([[1.0]], [0.0], 5)], [np.zeros(5)], [np.ones(5)])
    points, temperature = np.random.default_rng(4).random((3, 5)), 0.4
    found = slopes(network, targets, points, temperature)
    seen, _ = network.preactivations(points)
    for p, point in enumerate(points):
        x = torch.tensor(point, requires_grad=True)
        value = x
        for layer, z in zip(network.layers, seen):
            value = torch.as_tensor(layer.terms[0][1]) @ value + torch.as_tensor(layer.bias)
            share = torch.sigmoid(torch.as_tensor(z[p]) / (temperature * np.abs(z[p]).mean()))
            value = share * value + (torch.as_tensor(np.maximum(z[p], 0)) - share * value).detach()
        (torch.as_tensor(network.output.terms[0][1]) @ value).sum().backward()
        np.testing.assert_allclose(found[p], x.grad.numpy(), atol=1e-12)


def test_a_network_without_inputs_in_its_outputs_has_no_slope() -> None:
    network = relu_network((np.zeros((2, 3)), np.ones(2)))
    constant = type(network)(3, (), type(network.output)((), np.ones(2)))
    targets = Targets.of([rows([[1, 0]], [0], 3)], [np.zeros(3)], [np.ones(3)])
    starts = Descents(np.full((1, 3), 0.5), np.zeros(1, dtype=np.int64), np.zeros(1), np.ones(1, dtype=bool))
    visited = []
    descend(network, targets, starts, 3, lambda points, cases, values: bool(visited.append((points, values))))
    assert [float(values[0, 0]) for _, values in visited] == [1.0] * 4
    assert gradient(constant, targets, [], np.array([0]), np.zeros(1)).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("by_sign", [True, False])
def test_descents_stay_in_the_box_and_reach_the_least_value_of_a_linear_network(by_sign: bool) -> None:
    weight = np.array([[1.0, -2.0, 0.5, 0.0]])
    network = relu_network((weight, np.array([0.3])))
    low, up = np.array([-1.0, 0.0, 2.0, 5.0]), np.array([1.0, 0.5, 2.0, 6.0])
    targets = Targets.of([rows([[1.0]], [0.0], 4)], [low], [up])
    points = np.random.default_rng(0).uniform(low - 1, up + 1, (3, 4))
    starts = Descents(points, np.zeros(3, dtype=np.int64), np.zeros(3), np.full(3, by_sign))
    least = []

    def see(points: np.ndarray, cases: np.ndarray, values: np.ndarray) -> bool:
        assert (points >= low).all()
        assert (points <= up).all()
        assert cases.tolist() == [0, 0, 0]
        np.testing.assert_allclose(values[:, 0], network.evaluate(points)[:, 0])
        least.append(values.min())
        return False

    descend(network, targets, starts, 30, see)
    assert min(least) == pytest.approx(-1 - 1 + 1 + 0.3)
    assert len(least) == 31


def test_it_ends_when_enough_is_seen() -> None:
    network, visits = random_network(5, 4, 6, 1), []
    targets = Targets.of([rows([[1.0]], [0.0], 4)], [np.zeros(4)], [np.ones(4)])
    starts = Descents(np.full((2, 4), 0.5), np.zeros(2, dtype=np.int64), np.zeros(2), np.ones(2, dtype=bool))

    def see(points: np.ndarray, cases: np.ndarray, values: np.ndarray) -> bool:
        visits.append(points)
        return len(visits) == 3

    descend(network, targets, starts, 30, see)
    assert len(visits) == 3


def test_a_dead_neuron_has_a_slope_only_when_it_is_smooth() -> None:
    network = plateau(inputs=4, from_sum=3.0)
    targets = Targets.of([rows([[1.0]], [0.0], 4)], [np.zeros(4)], [np.ones(4)])
    middle = np.full((1, 4), 0.5)
    assert (slopes(network, targets, middle, 0.0) == 0).all()
    # The only neuron is at -1, its own mean magnitude: the logistic function of -1 / 0.5.
    np.testing.assert_allclose(slopes(network, targets, middle, 0.5), np.full((1, 4), -1 / (1 + np.exp(2.0))))
