"""Networks of a competition: the order of the values, and trees that agree with what every verifier there found."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from relaxations.base import Query
from relaxations.bounds.relaxed import AlphaCrown, Crown, Interval
from relaxations.lowering import lower
from relaxations.lp.triangle import Triangle
from relaxations.milp.big_m import BigM
from relaxations.milp.tree import search
from specs.language.vnnlib.compile import compile_vnnlib
from specs.language.vnnlib.reader import read_vnnlib
from specs.loading import load_model
from verifier.engine.floats import float_rows

pytestmark = [pytest.mark.shared, pytest.mark.slow]
SMALL = "mnist_fc/onnx/mnist-net_256x2.onnx"
ONES = {
    "256x2": (SMALL, "mnist_fc/vnnlib/prop_1_0.03.vnnlib.gz"),
    "256x4": ("mnist_fc/onnx/mnist-net_256x4.onnx", "mnist_fc/vnnlib/prop_1_0.03.vnnlib.gz"),
    "aircraft": ("acasxu/onnx/ACASXU_run2a_1_1_batch_2000.onnx", "acasxu/vnnlib/prop_3.vnnlib"),
}


def queries(model: Path, spec: Path) -> list[Query]:
    problem = compile_vnnlib(read_vnnlib(spec), load_model(model))
    network = lower(problem.graph)
    found = []
    for case in problem.cases:
        low, up = (np.array([float(v) for v in side]) for side in (case.box.lower, case.box.upper))
        rows = float_rows(case, network.input_size, len(network.output.bias))
        found.append(Query.over_box(network, rows, low, up))
    return found


@pytest.mark.parametrize("name", ONES)
def test_values_are_ordered(name: str, benchmarks_dir: Path) -> None:
    model, spec = ONES[name]
    query = queries(benchmarks_dir / model, benchmarks_dir / spec)[0]
    found = [kind(query).solve() for kind in (Interval, Crown, AlphaCrown, Triangle)]
    values = [solution.value for solution in found]
    for looser, tighter in pairwise(values):
        assert looser >= tighter - 1e-9 * (1 + abs(looser))
    assert abs(found[-1].gap) <= 1e-6 * (1 + abs(values[-1]))
    assert Triangle(query).outside(found[-1].action) <= 1e-9 * (1 + abs(values[0]))
    points = np.random.default_rng(0).uniform(query.lower, query.upper, size=(2000, len(query.lower)))
    assert values[-1] >= query.score(points).max()
    assert values[0] > values[1] > values[2]


@pytest.mark.parametrize(("spec", "holds"), [("prop_0_0.03", True), ("prop_10_0.05", True), ("prop_1_0.03", False)])
def test_trees_agree_with_the_competition(spec: str, holds: bool, benchmarks_dir: Path) -> None:
    """A property holds if every case does; a case without a proof has an input that no row is positive at."""
    scores = []
    for query in queries(benchmarks_dir / SMALL, benchmarks_dir / f"mnist_fc/vnnlib/{spec}.vnnlib.gz"):
        tree = search(query, seconds=20.0, enough=-1e-6)
        assert BigM(query).bound(tree) == tree.value
        assert tree.score == query.score(tree.attack[None])[0]
        if tree.open:
            assert tree.score >= 0
        else:
            assert tree.value < 0
        scores.append(tree.score)
        if not holds and tree.score >= 0:
            break
    assert (max(scores) < 0) == holds
