"""The extrapolated network computes the relaxed attack, and each of its units is what the relaxation allows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from relaxations.actions import Point
from relaxations.base import Query
from relaxations.bounds.boxes import Rows
from relaxations.lowering import lower
from specs.errors import CertifyError, UnsupportedOpError
from specs.graph import Graph, ops
from specs.loading.graph_builder import GraphBuilder
from specs.loading.onnx import load_onnx
from tests.triangle_program import solve_triangle
from tests.unit.verifier.relaxed.drawn import drawn
from tests.unit.verifier.relaxed.files import obstacle, of_point, packed
from verifier.relaxed.container import parse_relaxed
from verifier.relaxed.contents import PointAction
from verifier.relaxed.extrapolation import Extrapolation, extrapolate, query_of
from verifier.relaxed.minimal import minimal
from verifier.relaxed.pieces import Pieces
from verifier.relaxed.rewriting import with_pieces

SEEDS = range(100)


def score_of(query: Query, x: np.ndarray, y: np.ndarray) -> float:
    return float((-(query.rows.x @ x + query.rows.y @ np.asarray(y, dtype=float) + query.rows.constant)).min())


@pytest.mark.parametrize("seed", SEEDS)
def test_the_score_of_the_new_network_is_the_value_of_the_linear_program(seed: int) -> None:
    one = drawn(seed)
    found = extrapolate(one.graph, one.query, one.action)
    x = found.action.x
    assert (x >= one.query.lower).all()
    assert (x <= one.query.upper).all()
    computed = score_of(one.query, x, found.graph.evaluate_flat(x))
    assert computed == pytest.approx(one.value, rel=1e-9, abs=1e-9)
    assert found.score == pytest.approx(one.value, rel=1e-9, abs=1e-9)


@pytest.mark.peer
def test_a_runtime_in_single_precision_agrees() -> None:
    runtime = pytest.importorskip("onnxruntime")
    for seed in SEEDS:
        one = drawn(seed)
        found = extrapolate(one.graph, one.query, one.action)
        data = found.onnx()
        session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
        x = found.action.x.astype(np.float32)
        (y,) = session.run(None, {"x": x[None]})
        assert y.dtype == np.float32
        assert score_of(one.query, x.astype(float), y.reshape(-1)) == pytest.approx(one.value, rel=1e-4, abs=1e-4)


def test_our_own_loader_reads_it_back(tmp_path: Path) -> None:
    for seed in range(0, 100, 7):
        one = drawn(seed)
        found = extrapolate(one.graph, one.query, one.action)
        (tmp_path / "extrapolation.onnx").write_bytes(found.onnx(np.float64))
        again = load_onnx(tmp_path / "extrapolation.onnx")
        for x in one.data[:5]:
            expected = found.graph.evaluate_flat(x)
            assert np.abs(again.evaluate_flat(x) - expected).max() <= 1e-12 * (1 + np.abs(expected).max())
        lower(again)  # every operator of it can be decided about


def with_data(seed: int) -> Extrapolation | None:
    """The variant that agrees with the data; None where a unit deviates at a value that it really takes on them."""
    one = drawn(seed)
    try:
        return extrapolate(one.graph, one.query, one.action, one.data)
    except CertifyError:
        seen = one.query.network.preactivations(one.data)[0]
        plain = extrapolate(one.graph, one.query, one.action)
        assert min(np.abs(seen[d.layer][:, d.neuron] - d.z).min() for d in plain.deviations) <= 1e-6
        return None


def test_every_unit_stays_in_its_triangle_and_is_its_relu_outside() -> None:
    deviating = 0
    for seed in SEEDS:
        one = drawn(seed)
        for found in (extrapolate(one.graph, one.query, one.action), with_data(seed)):
            if found is None:
                continue
            for pieces, (l, u) in zip(found.pieces, one.query.ranges):
                inner = np.linspace(l, u, 101)
                unstable = (l < 0) & (u > 0)
                chord = u * (inner - l) / np.where(u > l, u - l, 1)
                values = pieces.evaluate(inner)
                size = 1e-12 * (np.abs(l) + np.abs(u))
                assert (values >= np.maximum(inner, 0) - size).all()
                assert (values <= np.where(unstable, chord, np.maximum(inner, 0)) + size).all()
                outer = np.concatenate([l - np.arange(4)[:, None], u + np.arange(4)[:, None]])
                assert np.abs(pieces.evaluate(outer) - np.maximum(outer, 0)).max() <= 1e-12 * (1 + np.abs(outer).max())
            deviating += len(found.deviations)
    assert deviating > 500


def test_with_data_both_networks_agree_on_all_of_it() -> None:
    differed = refused = 0
    for seed in SEEDS:
        one, found = drawn(seed), with_data(seed)
        refused += found is None
        if found is None:
            continue
        plain = extrapolate(one.graph, one.query, one.action)
        size = 1 + max(float(np.abs(one.graph.evaluate_flat(x)).max()) for x in one.data)
        assert found.difference(one.data) <= 1e-9 * size
        differed += plain.difference(one.data) > 1e-3 * size
        x = found.action.x
        assert score_of(one.query, x, found.graph.evaluate_flat(x)) == pytest.approx(one.value, rel=1e-8, abs=1e-8)
    assert differed > 50  # it is the data that make the difference
    assert refused <= 5


def test_data_that_reach_the_deviation_leave_no_room() -> None:
    one = drawn(1)
    found = extrapolate(one.graph, one.query, one.action)
    assert found.deviations[0].layer == 0
    with pytest.raises(CertifyError, match="no extrapolation agrees with the data"):
        extrapolate(one.graph, one.query, one.action, one.action.x[None])


def test_the_deviating_units_are_those_of_the_action() -> None:
    for seed in range(0, 100, 9):
        one = drawn(seed)
        found = extrapolate(one.graph, one.query, one.action)
        told = {(d.layer, d.neuron): d for d in found.deviations}
        for k, (z, a, (l, u)) in enumerate(zip(one.action.z, one.action.a, one.query.ranges)):
            for i, gap in enumerate(a - np.maximum(z, 0)):
                if abs(gap) > 1e-6 * (u[i] - l[i]) + 1e-12:
                    assert told[k, i].gap == pytest.approx(gap, abs=1e-8)
                    assert (told[k, i].z, told[k, i].a) == pytest.approx((z[i], a[i]), abs=1e-8)
                    assert told[k, i].relu == max(told[k, i].z, 0.0)
        gaps = [abs(d.gap) for d in found.deviations]
        assert gaps == sorted(gaps, reverse=True)


def test_minimal_keeps_the_score_and_has_no_more_deviating_units() -> None:
    fewer = 0
    for seed in range(60):
        one = drawn(seed)
        usual = extrapolate(one.graph, one.query, one.action)
        found = extrapolate(one.graph, one.query, minimal(one.query, one.action))
        assert found.score >= one.value - 1.1e-6 * (1 + abs(one.value))
        assert found.score <= one.value + 1e-8 * (1 + abs(one.value))
        x = found.action.x
        computed = score_of(one.query, x, found.graph.evaluate_flat(x))
        assert computed == pytest.approx(found.score, rel=1e-9, abs=1e-9)
        assert len(found.deviations) <= len(usual.deviations)
        some = extrapolate(one.graph, one.query, minimal(one.query, one.action, loss=0.1))
        assert some.score >= one.value - 0.11 * (1 + abs(one.value))
        fewer += len(some.deviations) < len(usual.deviations)
    assert fewer >= 30


def test_minimal_with_much_to_give_up_is_the_network_itself() -> None:
    """An action of the score of a real input exists without any gap, and it is found."""
    for seed in range(1, 20, 2):
        one = drawn(seed)
        real = max(one.query.score(np.vstack([one.data, one.action.x])))
        loss = (one.value - real) / (1 + abs(one.value)) + 0.5
        found = minimal(one.query, one.action, loss=loss)
        before = sum(float(gap.sum()) for gap in one.action.gaps())
        assert sum(float(gap.sum()) for gap in found.gaps()) < 0.2 * before + 1e-9


def test_no_time_leaves_the_action_as_it_is() -> None:
    one = drawn(2)
    assert minimal(one.query, one.action, seconds=0.0) is one.action


def test_an_action_outside_the_triangles_is_refused() -> None:
    one = drawn(1)
    a = tuple(part.copy() for part in one.action.a)
    a[0][:] += 1.0
    with pytest.raises(CertifyError, match="misses the triangle relaxation"):
        extrapolate(one.graph, one.query, Point(one.action.x, one.action.z, a))


def graph_of(*steps: tuple) -> Graph:
    builder = GraphBuilder()
    value = builder.input("x", (1, 1, 4, 4))
    for op, *constants in steps:
        value = builder.add(op, value, *(builder.constant(constant) for constant in constants))
    return builder.build(("x",), (value,))


def test_operators_without_a_form_are_named() -> None:
    graph = graph_of((ops.Relu(),), (ops.Sigmoid(),), (ops.Sign(),))
    with pytest.raises(UnsupportedOpError, match=r"Sigmoid at node .*Sign at node"):
        with_pieces(graph, ())


POOLS = (
    ops.MaxPool((2, 2), (2, 2), (0, 0, 0, 0), (1, 1)),
    ops.MaxPool((3, 3), (1, 2), (1, 0, 1, 1), (1, 1)),
    ops.MaxPool((3, 1), (1, 1), (0, 0, 0, 0), (1, 1)),
)


@pytest.mark.parametrize("pool", POOLS)
def test_images_with_convolution_and_pooling(pool: ops.MaxPool) -> None:
    rng = np.random.default_rng(4)
    kernel = rng.normal(size=(2, 1, 2, 2)).astype(np.float32)
    conv, mean = ops.Conv((1, 1), (0, 1, 1, 0), (1, 1)), ops.AveragePool((2, 2), (1, 1), (0, 0, 0, 0), (1, 1))
    graph = graph_of((conv, kernel), (ops.Relu(),), (pool,), (mean,))
    low = rng.normal(size=16)
    rows = Rows(np.zeros((1, 16)), rng.normal(size=(1, graph.output_size)), np.zeros(1))
    query = Query.over_box(lower(graph), rows, low, low + 0.5)
    value, action = solve_triangle(query)
    found = extrapolate(graph, query, action)
    assert {d.layer for d in found.deviations} - {0}  # units of the pooling among them
    x = found.action.x
    assert score_of(query, x, found.graph.evaluate_flat(x)) == pytest.approx(value, rel=1e-9)
    assert query.score(x[None])[0] < value - 1e-3
    assert found.table().count("\n") == 1 + len(found.deviations)


def test_a_file_holds_all_that_an_extrapolation_needs() -> None:
    one = obstacle(3)
    attack = parse_relaxed(packed(of_point(one)))
    query = query_of(attack, lower(one.graph), one.query.rows)
    found = extrapolate(one.graph, query, attack.content.point)
    assert found.score == pytest.approx(one.value, rel=1e-9)
    with pytest.raises(CertifyError, match="no units"):
        query_of(replace(attack, content=PointAction(attack.content.x, None)), lower(one.graph), one.query.rows)


def test_without_deviation_the_network_is_the_same() -> None:
    for op in (ops.Relu(), ops.Abs(), ops.Clip(-0.5, 0.5), ops.LeakyRelu(0.25)):
        graph = graph_of((op,), (ops.PRelu(), np.full((1, 1, 1, 1), 0.5, np.float32)))
        network = lower(graph)
        zero = [np.zeros(len(layer.bias)) for layer in network.layers]
        same = with_pieces(graph, [Pieces(part > 0, part, part, part, part) for part in zero])
        x = np.random.default_rng(3).normal(size=16)
        assert np.abs(same.evaluate_flat(x) - graph.evaluate_flat(x)).max() <= 1e-15
        assert sum(lower(same).widths) == sum(network.widths)
