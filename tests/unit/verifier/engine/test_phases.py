"""The search by ReLU phases against exact answers, and its trees against the checker in both arithmetics."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from relaxations.lowering import lower
from relaxations.network import Layer, ReluNetwork
from specs.loading import load_model
from tests.checker.phase_words import words
from tests.oracle import Network, Row
from tests.oracle.network import Unit
from tests.unit.verifier.engine.made_phases import Asked, asked, go_on, never, searched, started, written
from verifier.checker.phase_tree import Frame, PhaseTree, Proof, read_phase_tree
from verifier.engine.phases import bounding, cutting
from verifier.engine.phases.rows import OutOfTime
from verifier.engine.phases.search import PhaseSearch

SEEDS = range(500, 530)


@pytest.fixture
def without_zonotopes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every node is split by refreshed bounds: the small questions here are else closed in the root's zonotope."""
    monkeypatch.setattr(bounding, "LARGEST_ZONOTOPE", -1)


CAUTIONS = (1e2, 1e3, 1e4)  # as a refused tree is searched again
AUDITED = 30  # leaves; rational arithmetic takes milliseconds for each


def read(one: Asked, search: PhaseSearch) -> PhaseTree:
    """The search's tree as the checker reads it."""
    cases = range(len(one.cases))
    network = one.checker().bounder.network
    rows = [len(rows) for rows in one.cases]
    return read_phase_tree(words(written(search, cases)), network.sizes[0], network.widths, rows)


def judge(one: Asked, search: PhaseSearch) -> str:
    """What came of a search, after comparison with the exact answer and, where it closed, with the checker."""
    optima = one.optima()
    true = all(value > 0 for value in optima)
    for case, (value, point) in search.seen.worst.items():
        exact = max(one.network.margin(row, [Fraction(v) for v in point.tolist()]) for row in one.cases[case])
        assert value == pytest.approx(float(exact), rel=1e-6, abs=1e-6)
        assert float(exact) >= float(optima[case]) - 1e-6 * (1 + abs(value))  # points are rounded to float32
    if search.closed:
        assert true, "closed, though it does not hold"
        assert search.done == pytest.approx(1.0)
        verdict = one.float_verdict(search)
        for caution in CAUTIONS:  # the search rounds in float32; with larger margins it must be right
            if not verdict.accepted:
                search = search.again(caution, never)
                verdict = one.float_verdict(search)
        assert verdict.accepted, verdict.reason
        tree = read(one, search)
        assert verdict.leaves == tree.leaves(0, tree.ends)
        if verdict.leaves <= AUDITED:
            assert one.exact_verdict(search).accepted
        return "closed"
    bound = min(node.bound for node in search.unproved)
    size = 1e9 * search.bounding.least  # of the rows' terms: rounding to float32 is relative to it
    assert bound <= float(min(optima)) + 1e-5 * size, "the bound of what is open exceeds the exact optimum"
    return "open, true" if true else "open, false"


@pytest.mark.parametrize("cases", [1, 3])
def test_what_closes_is_true_and_the_checker_accepts_it(cases: int, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    splits = 0
    for seed in SEEDS:
        one = asked(seed, tmp_path, cases=cases)
        search = searched(one)
        result = judge(one, search)
        seen[result] += 1
        splits += result == "closed" and search.count + search.cuts > 3
    assert seen["closed"] >= 8
    assert seen["open, false"] >= 5
    assert seen["open, true"] <= sum(seen.values()) // 10
    assert splits >= 2


@pytest.mark.usefixtures("without_zonotopes")
def test_idle_neurons_are_left_out_and_the_others_keep_their_names(tmp_path: Path) -> None:
    """What the root shows to be idle is gone from its nodes, and the checker, which has them all, takes the tree."""
    proved_without = 0
    for seed in SEEDS:
        one = asked(seed, tmp_path, cases=3)
        cheap = one.search()
        cheap.start(never)
        if not cheap.open:
            continue
        uppers = [u.copy() for u in cheap.open[0].upper]
        cheap.deepen()
        names, left_out = cheap.tree.names, 0
        for k, (u, kept) in enumerate(zip(uppers, names, strict=True)):
            assert set(np.flatnonzero(u <= 0)) & set(kept) <= {0}  # one is kept where all are idle
            assert all(len(node.lower[k]) == len(kept) for node in cheap.open)
            left_out += len(u) - len(kept)
        go_on(cheap)
        split = [(layer, neuron) for layer, neuron, _ in cheap.tree.split.values()]
        assert all(neuron in names[layer] for layer, neuron in split)
        if judge(one, cheap) == "closed" and split:
            proved_without += left_out > 0
    assert proved_without >= 2


def test_clear_questions_are_decided(tmp_path: Path) -> None:
    """Far from the threshold: true ones are closed, and the others show a point that fails, with few exceptions.

    Where all neurons are fixed and the ascent has not come close enough, a node is stuck; attacks are another matter.
    """
    seen: Counter[str] = Counter()
    for seed in SEEDS:
        one = asked(seed, tmp_path, placement="far")
        search = searched(one)
        result = judge(one, search)
        seen[result] += 1
        seen["shown"] += result == "open, false" and min(value for value, _ in search.seen.worst.values()) <= 0
    assert seen["open, true"] <= 2
    assert seen["closed"] >= 8
    assert seen["open, false"] >= 8
    assert seen["shown"] >= 0.7 * seen["open, false"]


def test_slopes_are_stored_even_where_no_bound_is_refreshed(tmp_path: Path) -> None:
    """A network of one layer has no intermediate bounds to refresh; its proof needs the slopes that were found."""
    one = asked(509, tmp_path, placement="far")
    assert len(one.lowered.layers) == 1
    assert judge(one, searched(one)) == "closed"


def test_rows_of_other_cases_may_be_of_any_size(tmp_path: Path) -> None:
    """Weights move by exponentials of the rows' values, those of the case itself only."""
    one = asked(503, tmp_path)
    (rows,) = one.cases
    huge = tuple(replace(row, y=tuple((i, c * 10**9) for i, c in row.y)) for row in rows)
    both = replace(one, cases=((*rows, *(replace(row, constant=row.constant - 1) for row in rows)), huge))
    search = searched(both, nodes=50)
    assert all(np.isfinite(node.final.weights).all() for node in search.unproved)
    assert judge(both, search)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_numbers_beyond_float32_prove_nothing_and_break_nothing(tmp_path: Path) -> None:
    """The bound of what overflowed is minus infinity, and the node still has a point of the box to hand over."""
    one = asked(503, tmp_path)
    (rows,) = one.cases
    huge = tuple(
        replace(row, y=tuple((i, c * 10**200) for i, c in row.y), constant=row.constant * 10**200) for row in rows
    )
    search = searched(replace(one, cases=(huge,)), nodes=20)
    assert search.unproved
    low, up = (np.array([float(v) for v in side]) for side in (one.lower, one.upper))
    for node in search.unproved:
        assert node.bound == -np.inf
        assert ((low - 1e-6 <= node.point) & (node.point <= up + 1e-6)).all()


def test_a_network_without_relus_is_decided_at_its_root(tmp_path: Path) -> None:
    """y = 2 x on [0, 1], of which 2 x > -1 holds and 2 x > 1 does not."""
    one = asked(503, tmp_path)
    matrix = Layer(((0, np.array([[2.0]])),), np.zeros(1))
    network = Network(1, (Unit(((0, Fraction(2)),)),), (1,))
    row = Row((), ((0, Fraction(1)),), Fraction(1))
    plain = replace(
        one,
        network=network,
        lowered=ReluNetwork(1, (), matrix),
        lower=(Fraction(0),),
        upper=(Fraction(1),),
        cases=((row,),),
    )
    assert searched(plain).closed
    assert not searched(replace(plain, cases=((replace(row, constant=Fraction(-1)),),))).closed


# --- convolutions and skips -------------------------------------------------------------------------------------------


def convolution(x: int, kernel: np.ndarray, bias: np.ndarray, pad: int) -> tuple[np.ndarray, np.ndarray]:
    """Matrix and bias of a 2-d convolution on one channel of x by x, by its definition."""
    size, out = kernel.shape[2], x + 2 * pad - kernel.shape[2] + 1
    matrix = np.zeros((len(kernel), out, out, x, x))
    for c, i, j, di, dj in np.ndindex(len(kernel), out, out, size, size):
        r, s = i + di - pad, j + dj - pad
        if 0 <= r < x and 0 <= s < x:
            matrix[c, i, j, r, s] = kernel[c, 0, di, dj]
    return matrix.reshape(-1, x * x), np.repeat(bias, out * out)


def image_question(seed: int, folder: Path, threshold: Fraction | None = None) -> Asked:
    """A 2 x 2 image, a padded convolution, a dense layer, a skip around it, and two cases over the same box."""
    onnx = pytest.importorskip("onnx")
    from tests.checker.models import model

    rng = np.random.default_rng(seed)
    kernel = (rng.integers(-8, 9, size=(1, 1, 2, 2)) / 8).astype(np.float32)
    bias = (rng.integers(-4, 5, size=1) / 8).astype(np.float32)
    dense = (rng.integers(-8, 9, size=(9, 9)) / 16).astype(np.float32)
    last = (rng.integers(-8, 9, size=(9, 2)) / 8).astype(np.float32)
    node = onnx.helper.make_node
    nodes = [
        node("Conv", ["x", "k", "b"], ["c"], pads=[1, 1, 1, 1], kernel_shape=[2, 2]),
        node("Relu", ["c"], ["a"]),
        node("Flatten", ["a"], ["f"]),
        node("MatMul", ["f", "d"], ["m"]),
        node("Relu", ["m"], ["r"]),
        node("Add", ["r", "f"], ["s"]),
        node("MatMul", ["s", "l"], ["y"]),
    ]
    data = model(nodes, {"x": [1, 1, 2, 2]}, {"k": kernel, "b": bias, "d": dense, "l": last})
    (folder / "image.onnx").write_bytes(data)
    first, first_bias = convolution(2, kernel, bias, pad=1)

    def units(matrix: np.ndarray, start: int, constants: np.ndarray, relu: bool) -> list[Unit]:
        found = []
        for weights, constant in zip(matrix, constants, strict=True):
            read = tuple((start + j, Fraction(float(w))) for j, w in enumerate(weights) if w)
            found.append(Unit(read, Fraction(float(constant)), relu))
        return found

    hidden = units(first, 0, first_bias, True) + units(dense.T, 4, np.zeros(9), True)
    skip = [Unit(((4 + i, Fraction(1)), (13 + i, Fraction(1)))) for i in range(9)]
    network = Network(4, (*hidden, *skip, *units(last.T, 22, np.zeros(2), False)), (31, 32))
    middle = [Fraction(int(v), 8) for v in rng.integers(-4, 5, size=4)]
    box = tuple(v - Fraction(1, 4) for v in middle), tuple(v + Fraction(1, 4) for v in middle)
    rows = [Row((), ((0, Fraction(1)), (1, Fraction(-1)))), Row((), ((1, Fraction(1)),))]
    asked_at = Asked(network, data, lower(load_model(folder / "image.onnx")), *box, tuple((row,) for row in rows))
    margin = Fraction(1, 50) if threshold is None else threshold
    moved = tuple(
        (Row(row.x, row.y, -Fraction(round((value - margin) * 10**6), 10**6)),)
        for row, value in zip(rows, asked_at.optima(), strict=True)
    )
    return Asked(network, data, asked_at.lowered, *box, moved)


@pytest.mark.parametrize("seed", range(6))
def test_images_with_skips_are_decided_as_the_oracle_does(seed: int, tmp_path: Path) -> None:
    true = image_question(seed, tmp_path)
    search = searched(true)
    assert judge(true, search) == "closed"
    false = image_question(seed, tmp_path, threshold=Fraction(-1, 50))
    assert judge(false, searched(false)) == "open, false"


@pytest.mark.usefixtures("without_zonotopes")
def test_intermediate_bounds_are_refreshed_below_splits(tmp_path: Path) -> None:
    """Among the trees of images there are frames below the root, with multipliers that count."""
    below = counted = 0
    for seed in range(6):
        one = image_question(seed, tmp_path, threshold=Fraction(1, 500))
        search = searched(one)
        if not search.closed:
            continue
        for node in read(one, search).nodes[1:]:
            for item in node.items:
                if isinstance(item, Frame):
                    below += 1
                    counted += any(bool((refined.multipliers > 0).any()) for refined in item.refined)
    assert below >= 10
    assert counted >= 5


# --- the tree ---------------------------------------------------------------------------------------------------------


def test_a_split_leaves_the_bounds_alone_that_do_not_rest_on_it(tmp_path: Path) -> None:
    """What is not refreshed below a split would be the same with the duals that are there."""
    spared = moved = 0
    for seed in range(6):
        search = started(image_question(seed, tmp_path, threshold=Fraction(-1, 2)))
        for root in search.open:
            free = [np.flatnonzero((l < 0) & (u > 0)) for l, u in zip(root.lower, root.upper, strict=True)]
            for k in sorted(search.bounding.deep):
                splits = [(j, i) for j in range(k) for i in free[j]]
                for neuron, sign in ((neuron, sign) for neuron in splits for sign in (-1, 1)):
                    child = root.child(1, [(*neuron, sign)])
                    search.bounding._bound_rows([child], [free[k]], k)
                    same = [
                        i
                        for i in free[k]
                        if child.lower[k][i] == root.lower[k][i] and child.upper[k][i] == root.upper[k][i]
                    ]
                    reached = root.rows[k].reached({neuron[0]: np.array([neuron[1]])})
                    assert set(free[k]) - set(reached) <= set(same)
                    spared += len(set(free[k]) - set(reached))
                    moved += len(free[k]) - len(same)
    assert spared >= 5
    assert moved >= 5


@pytest.mark.parametrize("largest", [-1, 1 << 20])
def test_parts_taken_elsewhere_come_back_as_one_tree(
    largest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever explores which open node in which order: once all are closed, it is one tree, and accepted.

    With and without zonotopes; these are left after two nodes, in parts, so that a node is often known elsewhere.
    """
    monkeypatch.setattr(bounding, "LARGEST_ZONOTOPE", largest)
    small = {"EARLY": 2, "AT_LEAST_EARLY": 0.0, "AT_FIRST": 2, "WORTHWHILE": 0.0, "FEW": 2, "UNIT_DEPTH": 2}
    for name, value in small.items():
        monkeypatch.setattr(cutting, name, value)
    rng = np.random.default_rng(0)
    shared = 0
    for seed in (1, 3, 4, 9, 10):
        one = image_question(seed, tmp_path, threshold=Fraction(1, 300))
        search = started(one)
        parts = 0
        while search.open:
            some = rng.permutation(len(search.open))[: int(rng.integers(1, 3))]
            parts += 1
            part = search.part([search.open[i] for i in some], parts << 40)
            go_on(part, nodes=1)
            search.merge(part)
            numbers = {node.number for node in search.unproved}
            assert not numbers & set(search.tree.ended)
            assert set(search.columns) == numbers
        if search.stuck:
            continue
        assert search.closed
        assert search.done == pytest.approx(1.0)
        assert len(read(one, search).nodes) == search.count
        assert all(one.float_verdict(search, parts=cut).accepted for cut in (1, 2, 3))
        shared += parts > 2
    assert shared >= 2


def test_an_open_tree_has_no_words(tmp_path: Path) -> None:
    one = image_question(0, tmp_path, threshold=Fraction(-1, 50))
    search = searched(one, nodes=9)
    assert search.open
    with pytest.raises(KeyError):
        written(search, [0, 1])


def test_a_search_that_is_over_stops(tmp_path: Path) -> None:
    one = image_question(0, tmp_path, threshold=Fraction(-1, 50))
    search = searched(one, nodes=0)
    assert search.count == 1
    assert [node.number for node in search.open] == [0]


def test_proofs_name_the_cases_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    """The cases of a group need not be the first of the query."""
    one = image_question(1, tmp_path)
    search = searched(one)
    chunk = written(search, [7, 3])
    assert chunk[:3] == [2, 7, 3]
    assert chunk[3:] == written(search, [0, 1])[3:]


@pytest.mark.usefixtures("without_zonotopes")
@pytest.mark.parametrize("seed", range(4))
def test_what_is_written_is_what_was_meant(seed: int, tmp_path: Path) -> None:
    """Duals as the nodes hold them, read back by the checker from the words: slopes, multipliers, weights, neurons."""
    one = image_question(seed, tmp_path, threshold=Fraction(1, 300))
    search = one.search()
    kept: list[tuple[int, list[object]]] = []
    frame, proof = search.tree.frame, search.tree.proof

    def keep_frame(node, inherited):
        if node.refreshed:
            names = search.tree.names
            rows = {k: node.rows[k] for k in sorted(node.refreshed)}
            some = {k: duals.select(node.refreshed[k]) for k, duals in rows.items()}
            kept.append((node.number, [(k, duals, node.splits, names) for k, duals in some.items()]))
        return frame(node, inherited)

    def keep_proof(node, case, final, first_row, columns):
        kept.append((node.number, [case, final, first_row, columns]))
        proof(node, case, final, first_row, columns)

    search.tree.frame, search.tree.proof = keep_frame, keep_proof
    search.start(never)
    search.deepen()
    go_on(search)
    assert search.closed
    order, stack = [], [0]
    while stack:
        number = stack.pop()
        order.append(number)
        if number in search.tree.split:
            *_, child = search.tree.split[number]
            stack += [child + 1, child]
    by_number: dict[int, list[list[object]]] = {}
    for number, item in kept:
        by_number.setdefault(number, []).append(item)
    rows = compared = 0
    for number, node in zip(order, read(one, search).nodes, strict=True):
        assert len(node.items) == len(by_number.get(number, []))
        for item, meant in zip(node.items, by_number.get(number, []), strict=True):
            if isinstance(item, Proof):
                case, final, first_row, columns = meant
                slopes = [final.slopes[k][i] for k, i in columns.tolist()]
                assert item.case == case
                assert (item.slopes == np.array(slopes) / 255).all()
                assert (item.multipliers == final.multipliers).all()
                assert (item.weights == final.weights[first_row : first_row + 1]).all()
                compared += 1
                continue
            for refined, (k, duals, path, names) in zip(item.refined, meant, strict=True):
                columns = [(j, np.searchsorted(names[j], i)) for j, i in item.columns[refined.columns].tolist()]
                assert (refined.layer, refined.shared) == (k, duals.shared)
                assert (refined.neurons == names[k][duals.neurons]).all()
                slopes = np.stack([duals.slopes[j][:, i] for j, i in columns], axis=1)
                assert (refined.slopes == slopes / 15).all()
                earlier = [s for s, (layer, _, _) in enumerate(path) if layer < k]
                assert (refined.multipliers == duals.multipliers[:, earlier]).all()
                rows += refined.hint_rows
    assert compared >= 2
    assert rows >= 2


def test_time_that_runs_out_within_a_split_loses_nothing(tmp_path: Path) -> None:
    """However often a step is broken off: the nodes stay open, and in the end there is one tree that is accepted."""
    interrupted = closed = 0
    for seed in (3, 4, 9, 10):
        one = image_question(seed, tmp_path, threshold=Fraction(1, 300))
        search = started(one)
        patience = 0
        while search.open:
            before, count = {node.number for node in search.unproved}, search.count
            go_on(search, asks=patience)
            patience = patience + 1 if search.count == count else 0
            if search.count == count:
                interrupted += 1
                assert {node.number for node in search.unproved} == before
                assert set(search.columns) == before
        if search.closed:
            closed += 1
            assert search.done == pytest.approx(1.0)
            assert one.float_verdict(search).accepted
    assert interrupted >= 8
    assert closed >= 2


def test_no_time_for_the_root_says_so(tmp_path: Path) -> None:
    search = image_question(0, tmp_path).search()
    with pytest.raises(OutOfTime):
        search.start(lambda: True)
    assert not search.closed


def test_a_careful_search_has_wider_ranges_and_a_larger_least_bound(tmp_path: Path) -> None:
    one = image_question(2, tmp_path)
    search = searched(one)
    careful = search.again(1000.0, never)
    assert careful.closed
    assert careful.bounding.least == pytest.approx(1000 * search.bounding.least, rel=0.05)
    assert one.float_verdict(careful).accepted
    narrow, wide = search.bounding.root(), careful.bounding.root()
    assert all((l >= m).all() for l, m in zip(narrow.lower, wide.lower, strict=True))
    assert all((u <= v).all() for u, v in zip(narrow.upper, wide.upper, strict=True))
    assert any((u < v).any() for u, v in zip(narrow.upper, wide.upper, strict=True))
