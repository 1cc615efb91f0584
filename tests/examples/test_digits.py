"""The digits example says what its README says, established here without the toolkit's own bounds or search."""

from pathlib import Path

import numpy as np
import pytest

from specs.graph import ops
from specs.loading.torch_archive import load_torch

DIGITS = Path(__file__).parents[2] / "docs" / "examples" / "digits"
PICTURE, ROBUST, FRAGILE = 3, 0.04, 0.15


@pytest.fixture(scope="module")
def graph():
    return load_torch(DIGITS / "digits.pt2")


@pytest.fixture(scope="module")
def pictures():
    with np.load(DIGITS / "images.npz", allow_pickle=False) as file:
        return file["images"], file["labels"]


def layers(graph):
    """[(weight, bias), ...] of the fully connected layers, read off the graph."""
    constant = {n.name: np.asarray(n.op.value, dtype=float) for n in graph.nodes if isinstance(n.op, ops.Constant)}
    weights = [constant[n.inputs[1]] for n in graph.nodes if isinstance(n.op, ops.MatMul)]
    biases = [constant[n.inputs[1]] for n in graph.nodes if isinstance(n.op, ops.Add)]
    return list(zip(weights, biases, strict=True))


def test_the_shipped_files_are_small_and_name_no_directory_of_the_machine_that_made_them():
    content = (DIGITS / "digits.pt2").read_bytes()
    assert len(content) < 100_000
    assert b"site-packages" not in content
    assert b"/root" not in content
    assert b"/home" not in content


def test_the_network_is_the_one_the_readme_describes(graph):
    assert [weight.shape for weight, _ in layers(graph)] == [(64, 32), (32, 32), (32, 10)]
    assert graph.by_name[graph.inputs[0]].shape == (1, 8, 8)


def test_it_reads_most_of_the_shipped_pictures(graph, pictures):
    images, labels = pictures
    assert images.shape == (20, 1, 8, 8)
    assert images.min() >= 0
    assert images.max() <= 1
    right = [graph.evaluate_flat(x).argmax() == label for x, label in zip(images, labels, strict=True)]
    assert sum(right) >= 18
    assert right[PICTURE]


def test_interval_arithmetic_proves_the_robust_question(graph, pictures):
    images, labels = pictures
    x, label = images[PICTURE].reshape(-1).astype(float), labels[PICTURE]
    lower, upper = np.clip(x - ROBUST, 0, 1), np.clip(x + ROBUST, 0, 1)
    for number, (weight, bias) in enumerate(layers(graph)):
        if number:
            lower, upper = np.maximum(lower, 0), np.maximum(upper, 0)
        centre, radius = (lower + upper) / 2, (upper - lower) / 2
        lower, upper = (
            centre @ weight + bias - radius @ abs(weight),
            centre @ weight + bias + radius @ abs(weight),
        )
    assert lower[label] - np.delete(upper, label).max() > 0.1


def test_a_gradient_walk_answers_the_fragile_question(graph, pictures):
    images, labels = pictures
    x, label = images[PICTURE].reshape(-1).astype(float), labels[PICTURE]
    lower, upper = np.clip(x - FRAGILE, 0, 1), np.clip(x + FRAGILE, 0, 1)
    margins = []
    for other in set(range(10)) - {int(label)}:
        point = x
        for _ in range(30):
            direction, active = np.eye(10)[label] - np.eye(10)[other], point
            patterns = []
            for weight, bias in layers(graph):
                active = active @ weight + bias
                patterns.append(active > 0)
                active = np.maximum(active, 0)
            for (weight, _), pattern in zip(reversed(layers(graph)), [None, *reversed(patterns[:-1])], strict=True):
                direction = (direction if pattern is None else direction * pattern) @ weight.T
            point = np.clip(point - 0.03 * np.sign(direction), lower, upper)
            scores = graph.evaluate_flat(point)
            margins.append(scores[label] - scores[other])
    assert min(margins) < 0


@pytest.mark.parametrize(("name", "eps"), [("robust.yaml", ROBUST), ("fragile.yaml", FRAGILE)])
def test_the_specifications_ask_about_that_picture(name, eps):
    yaml = pytest.importorskip("ruamel.yaml").YAML(typ="safe")
    document = yaml.load((DIGITS / name).read_text())
    assert document["inputs"]["x"]["ball"] == {
        "norm": "inf",
        "eps": eps,
        "center": {"dataset": "images.npz", "index": PICTURE},
    }
    assert document["inputs"]["x"]["box"] == {"lo": 0.0, "hi": 1.0}
    assert document["require"][0]["assert"] == "argmax(y) == label(x)"
