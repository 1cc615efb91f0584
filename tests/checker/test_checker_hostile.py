"""Evidence, models and queries made to crash the checker, to keep it busy or to mislead its reader."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import zipfile
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.checker.phase_words import (
    CLOSED,
    EMPTY,
    END,
    FRAME,
    OPEN,
    PROOF,
    RELU,
    ZONOTOPE,
    Cut,
    Refined,
    chunk,
    float32,
    frame,
    proof,
    split,
    zonotope,
)
from verifier.checker import zonotope as checker_zonotope
from verifier.checker.__main__ import exact_verdict_on, main
from verifier.checker.bounds import Bounder
from verifier.checker.boxes import Boxes, Rows
from verifier.checker.check import Checker
from verifier.checker.container import Certificate, Source, Witness, read_evidence, read_source
from verifier.checker.errors import CheckError
from verifier.checker.network import Affine, Dense, Input, Network, Relu
from verifier.checker.phase_tree import MOST_SPLITS, read_phase_tree
from verifier.checker.phases import PhaseProver
from verifier.checker.tree import CLIP, LEAF, REF, SPLIT
from verifier.checker.vnnlib import read_query
from verifier.checker.witness import refute

IDENTITY = Network((Input(1), Affine(((0, Dense(np.ones((1, 1)))),), np.zeros(1))), (1, 1))
UNIT = "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (>= X_0 0))(assert (<= X_0 1))"
NEGATIVE = UNIT + "(assert (<= Y_0 -1))"  # never for y = x in [0, 1]
NOWHERE = Source("", "", None)


def check(query: str, *chunks: Sequence[int]):
    words = tuple(np.array(chunk, dtype=np.int64) for chunk in chunks)
    return Checker(IDENTITY, read_query(query, 1, 1)).check(Certificate(NOWHERE, NOWHERE, 1, words, ""), None)


def archive(words: Sequence[int] = (LEAF,), **changes: object) -> bytes:
    manifest = {
        "format": "nncert", "version": 7, "semantics": "real", "cases": 1, "chunks": [len(words)], "pairs": [],
        "claim": "c",
        "model": {"sha256": "0", "path": "a"}, "query": {"sha256": "0", "path": "b"}, "producer": "p", **changes,
    }  # fmt: skip
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("manifest.json", json.dumps(manifest))
        made.writestr("trees.bin", zlib.compress(np.array(words, dtype="<u2").tobytes()))
    return file.getvalue()


def test_a_query_without_outputs_is_violated_by_every_input() -> None:
    assert not check(UNIT, [LEAF]).accepted
    assert not check(UNIT, [CLIP, SPLIT, LEAF, LEAF]).accepted
    checker = Checker(IDENTITY, read_query(UNIT, 1, 1))
    assert refute(checker, Witness(NOWHERE, NOWHERE, 0, (Fraction(1),), "")).accepted
    assert not refute(checker, Witness(NOWHERE, NOWHERE, 0, (Fraction(2),), "")).accepted


@pytest.mark.parametrize("twice", [b'"claim": "d", "claim": "c"', b'"claim": "c", "model": {"sha256": "1"}'])
def test_a_key_that_stands_twice_is_refused(twice: bytes) -> None:
    assert read_evidence(archive()).claim == "c"
    with zipfile.ZipFile(io.BytesIO(archive())) as made:
        manifest, trees = made.read("manifest.json"), made.read("trees.bin")
    changed = manifest.replace(b'"claim": "c"', twice)
    assert changed != manifest
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("manifest.json", changed)
        made.writestr("trees.bin", trees)
    with pytest.raises(CheckError, match="stands twice"):
        read_evidence(file.getvalue())


def test_chunks_cannot_multiply_the_work() -> None:
    """Every chunk naming the next one twice would be 2^60 leaves in a few hundred words."""

    def fork(child: int) -> list[int]:
        return [SPLIT, REF, 0, child, REF, 0, child]

    with pytest.raises(CheckError, match="twice"):
        check(NEGATIVE, *(fork(k + 1) for k in range(60)), [LEAF])
    assert check(NEGATIVE, [SPLIT, REF, 0, 1, REF, 0, 2], [LEAF], [LEAF]).accepted


def test_a_deep_phase_tree_is_refused_before_it_fills_memory() -> None:
    with pytest.raises(CheckError, match=f"more than {MOST_SPLITS}"):
        phase_tree([1, 0] + [RELU, 0, 0] * 100_000)


def test_a_wide_phase_tree_is_refused_before_it_fills_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = [*[RELU, 0, 0] * 20, *[END] * 21]
    assert len(phase_tree([1, 0, *wide]).nodes) == 41
    monkeypatch.setattr("verifier.checker.phase_tree.MOST_NODES", 40)
    with pytest.raises(CheckError, match="more than 40 nodes"):
        phase_tree([1, 0, *wide])


def phase_tree(words: Sequence[int]):
    """Read with ReLU layers of 3 and 2 neurons, and cases of one row and of two."""
    return read_phase_tree(np.array(words, dtype=np.uint16), 2, [3, 2], [1, 2])


def test_open_leaves_below_many_splits_are_counted_before_their_paths_are_made() -> None:
    """A comb of 1900 splits and 2^13 open leaves below it: 80 kB that stand for 16 million splits."""
    comb, depth = 1900, 13
    order: list[int] = [1] * comb
    stack = [depth]
    while stack:
        level = stack.pop()
        order.append(1 if level else OPEN)
        stack += [level - 1] * 2 if level else []
    order += [CLOSED] * comb
    splits = sum(word == 1 for word in order)
    cut = [ZONOTOPE, 0, *float32(1), 0, len(order) >> 16, len(order) & 0xFFFF, *order, *[0] * (2 * splits)]
    with pytest.raises(CheckError, match="splits above open leaves"):
        read_phase_tree(
            np.array(chunk([0], frame([(0, 0)]), cut, [END] * (1 + 2**depth)), dtype=np.uint16), 1, [2, 2], [1]
        )


def test_the_forms_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for a few forms a tree is walked depth first, and what is found is the same."""
    nodes = (Input(1), Affine(((0, Dense(np.ones((6, 1)))),), np.zeros(6)), Relu(1))
    network = Network((*nodes, Affine(((2, Dense(np.ones((1, 6)))),), np.zeros(1))), (1, 6, 6, 1))

    def tree(depth: int) -> Cut | int:
        return Cut(depth, (0.0, 0.0), tree(depth - 1), tree(depth - 1)) if depth >= 0 else CLOSED

    columns = [(0, i) for i in range(6)]
    cut = zonotope(0, [1], [32768] * 6, tree(5))
    phases = read_phase_tree(np.array(chunk([0], frame(columns), cut, [END]), dtype=np.uint16), 1, [6], [1])
    for threshold, accepted in ((-7.0, True), (-5.0, False)):
        rows = Rows(np.zeros((1, 1)), np.ones((1, 1)), np.array([-threshold]))
        for room in (1, 1 << 23):
            monkeypatch.setattr(checker_zonotope, "COEFFICIENTS_AT_ONCE", room)
            boxes = Boxes.of(-np.ones((1, 1)), np.ones((1, 1)))
            refused = PhaseProver(Bounder(network), phases, [rows], boxes).prove(0, phases.ends)
            assert (refused == []) == accepted


GOOD_FRAME = frame([(0, 1), (1, 0)], Refined(1, [1, 0], False, [[3]] * 4, [[]] * 4))
BROKEN_TREES = {
    "nothing": ([], "too early"),
    "no case": (chunk([], [END]), "no case"),
    "a case twice": (chunk([1, 1], [END]), "twice"),
    "a case that does not exist": (chunk([2], [END]), "does not exist"),
    "more cases than words": ([9, 0, END], "too early"),
    "no ending": (chunk([0], proof(0, [1])), "too early"),
    "one half": (chunk([0], split(0, 0), [END]), "too early"),
    "a word more": (chunk([0], [END, END]), "goes on"),
    "a word with no meaning": (chunk([0], [9]), "unknown word 9"),
    "a column twice": (chunk([0], frame([(0, 1), (1, 0), (0, 1)]), [END]), "column twice"),
    "a tree in a zonotope without nodes": (chunk([0], [ZONOTOPE, 0, *float32(1), 0, 0], [END]), "ends too early"),
    "one side of a split in a zonotope": (
        chunk([0], frame([(0, 1)]), [ZONOTOPE, 0, *float32(1), 0, 0, 2, 1, 0, 0, 0], [END]),
        "ends too early",
    ),
    "two trees in a zonotope": (chunk([0], [ZONOTOPE, 0, *float32(1), 0, 2, 0, 0], [END]), "goes on"),
    "a split of no column": (chunk([0], frame([(0, 1)]), zonotope(0, [1], [0], Cut(1, (0, 0))), [END]), "column"),
    "a negative multiplier in a zonotope": (
        chunk([0], frame([(0, 1)]), zonotope(0, [1], [0], Cut(0, (0, -1))), [END]),
        "negative",
    ),
    "an open leaf without a node": (chunk([0], zonotope(0, [1], [], OPEN), [END]), "too early"),
    "a node for no open leaf": (chunk([0], zonotope(0, [1], [], CLOSED), [END, END]), "goes on"),
    "more nodes in a zonotope than words": (chunk([0], [ZONOTOPE, 0, *float32(1), 9, 9, 0], [END]), "too early"),
    "zero": (chunk([0], [0]), "unknown word 0"),
    "a split of no layer": (chunk([0], split(2, 0), [END], [END]), "neuron"),
    "a split of no neuron": (chunk([0], split(1, 2), [END], [END]), "neuron"),
    "a column of no layer": (chunk([0], frame([(2, 0)]), [END]), "neuron"),
    "a column of no neuron": (chunk([0], frame([(0, 3)]), [END]), "neuron"),
    "a refined layer that does not exist": (chunk([0], frame([], Refined(2, [], False, [], [])), [END]), "refined"),
    "a refined neuron that does not exist": (
        chunk([0], frame([], Refined(1, [2], False, [[], []], [[], []])), [END]), "neuron",
    ),
    "a refined layer without neurons": (chunk([0], frame([], Refined(1, [], False, [], [])), [END]), "refined"),
    "a refined neuron twice": (
        chunk([0], frame([], Refined(1, [1, 1], False, [[]] * 4, [[]] * 4)), [END]), "refined",
    ),
    "refined layers out of order": (
        chunk([0], frame([], *(Refined(k, [0], True, [[]], [[]]) for k in (1, 0))), [END]), "refined",
    ),
    "a refined layer twice": (
        chunk([0], frame([], *(Refined(1, [0], True, [[]], [[]]) for _ in range(2))), [END]), "refined",
    ),
    "neither shared nor not": (chunk([0], [FRAME, 0, 1, 1, 0, 2], [END]), "refined"),
    "a frame cut off": (chunk([0], GOOD_FRAME[:-1]), "too early"),
    "columns without end": (chunk([0], [FRAME, 0xFFFF, 0, 0], [END]), "too early"),
    "a proof of no case": (chunk([0], proof(1, [1, 1]), [END]), "proves case 1 of 1"),
    "a proof cut off": (chunk([1], [PROOF, 0, 0, 0]), "too early"),
    "a negative weight": (chunk([0], proof(0, [-1]), [END]), "negative"),
    "a weight that is no number": (chunk([0], proof(0, [np.nan]), [END]), "not finite"),
    "an infinite multiplier": (chunk([0], split(0, 0), proof(0, [1], [], [np.inf]), [END], [END]), "not finite"),
    "a huge weight": (chunk([0], proof(0, [2e30]), [END]), "large"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN_TREES)
def test_a_phase_tree_is_exactly_one_tree_about_what_exists(name: str) -> None:
    words, said = BROKEN_TREES[name]
    with pytest.raises(CheckError, match=said):
        phase_tree(words)


@pytest.mark.parametrize("value", [-1.0, -1e-30, np.nan, np.inf, 3e30])
def test_multipliers_of_refined_neurons_are_in_range(value: float) -> None:
    layer = Refined(1, [0], False, [[], []], [[1.0], [value]])
    tree = phase_tree(chunk([0], split(0, 0), frame([], layer), [END], [END]))
    (refined,) = tree.nodes[1].items[0].refined
    with pytest.raises(CheckError, match="multiplier"):
        _ = refined.multipliers  # read when they are asked for


def test_what_is_broken_above_is_read_when_it_is_whole() -> None:
    halves = [EMPTY], [*proof(1, [0], [1, 2], [3]), END]
    tree = phase_tree(chunk([1, 0], GOOD_FRAME, proof(0, [1, 2], [7, 8]), split(1, 1), *halves))
    assert tree.cases == (1, 0)
    assert [(node.end, node.empty, node.first_end, node.last_end) for node in tree.nodes] == [
        (-1, False, 0, 2), (0, True, 0, 1), (1, False, 1, 2),
    ]  # fmt: skip
    assert tree.nodes[0].children == [(1, ((1, 1, -1),), None), (2, ((1, 1, 1),), None)]
    assert tree.nodes[1].children == tree.nodes[2].children == []


def test_open_leaves_get_nodes_of_their_own_after_the_ending() -> None:
    cut = Cut(0, (0, 0), OPEN, Cut(1, (0, 0), CLOSED, OPEN))
    items = proof(0, [1, 2], [7, 8]), zonotope(1, [1], [3, 4], cut)
    first, second = [*proof(1, [1], [7, 8], [3]), END], [*proof(1, [1], [7, 8], [3, 4]), END]
    tree = phase_tree(chunk([1, 0], frame([(0, 1), (1, 0)]), *items, [END], first, second))
    assert tree.nodes[0].children == [(1, ((0, 1, -1),), 2), (2, ((0, 1, 1), (1, 0, 1)), 2)]
    assert [(node.end, node.first_end, node.last_end) for node in tree.nodes] == [(1, 0, 4), (2, 2, 3), (3, 3, 4)]


def test_trees_are_not_unpacked_beyond_their_cap() -> None:
    with pytest.raises(CheckError, match="larger than"):
        read_evidence(archive(chunks=[1 << 29]))


@pytest.mark.parametrize("path", ["a\0b", "\ud800", "", ".", "/dev/zero", "no/such/file"])
def test_a_recorded_path_is_read_only_if_it_is_a_file(path: str) -> None:
    evidence = read_evidence(archive(model={"sha256": "0", "path": path}))
    with pytest.raises(CheckError, match="cannot read the model"):
        read_source(evidence.model, None, "model")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_recorded_path_to_a_pipe_does_not_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckError, match="cannot read the model"):
        read_source(Source("0", str(tmp_path / "pipe"), None), None, "model")


def test_a_claim_cannot_write_to_the_terminal() -> None:
    assert read_evidence(archive(claim="\x1b[2Jaccepted\nall is well\ud800é")).claim == "?[2Jaccepted?all is well?é"


def test_exact_judges_witnesses_in_rational_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    checker = Checker(IDENTITY, read_query(UNIT + "(assert (<= Y_0 0.25))", 1, 1))
    low, high = (Witness(NOWHERE, NOWHERE, 0, (x,), "") for x in (Fraction(1, 4), Fraction(1, 3)))
    monkeypatch.setattr("verifier.checker.witness._fails_in_float64", lambda *_: pytest.fail("float64 was asked"))
    assert "rational" in exact_verdict_on(checker, low).reason
    assert not exact_verdict_on(checker, high).accepted


def test_the_claim_is_marked_as_the_producers_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx = pytest.importorskip("onnx")
    from hashlib import sha256

    from tests.checker.models import model

    files = {
        "model": model([onnx.helper.make_node("Identity", ["x"], ["y"])], {"x": [1]}, {}),
        "query": NEGATIVE.encode(),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    sources = {name: {"sha256": sha256(data).hexdigest(), "path": str(tmp_path / name)} for name, data in files.items()}
    (tmp_path / "proof").write_bytes(archive(claim="anything", **sources))
    assert main([str(tmp_path / "proof"), "--workers", "1"]) == 0
    assert "claim, in the producer's words: anything" in capsys.readouterr().out


@pytest.mark.parametrize("rank", [33, 70])
def test_tensors_of_absurd_rank_are_refused(rank: int) -> None:
    onnx = pytest.importorskip("onnx")
    from verifier.checker.onnx import read_network

    helper = onnx.helper
    deep = onnx.TensorProto(name="c", data_type=1, dims=[1] * rank, float_data=[1.0])
    for shape, constants, op in (([1], [deep], "Add"), ([1] * rank, [], "Identity")):
        inputs = [helper.make_tensor_value_info("x", 1, shape)]
        node = helper.make_node(op, ["x", "c"][: 2 if constants else 1], ["y"])
        graph = helper.make_graph([node], "g", inputs, [helper.make_tensor_value_info("y", 1, None)], constants)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
        with pytest.raises(CheckError, match="large"):
            read_network(made.SerializeToString())


@pytest.mark.parametrize("opset", [13, 18])
def test_a_split_into_nothing_is_refused(opset: int) -> None:
    onnx = pytest.importorskip("onnx")
    from tests.checker.models import model
    from verifier.checker.onnx import read_network

    nodes = [onnx.helper.make_node("Split", ["x"], []), onnx.helper.make_node("Identity", ["x"], ["y"])]
    with pytest.raises(CheckError, match="no output"):
        read_network(model(nodes, {"x": [1]}, {}, opset))


def test_repeated_expansion_cannot_fill_memory() -> None:
    onnx = pytest.importorskip("onnx")
    from tests.checker.models import model
    from verifier.checker.onnx import read_network

    nodes = [onnx.helper.make_node("Expand", ["x", "shape"], ["e0"])]
    nodes += [onnx.helper.make_node("Relu", [f"e{k}"], [f"e{k + 1}"]) for k in range(200)]
    data = model(nodes, {"x": [1]}, {"shape": np.array([1_000_000])}, outputs=["e200"])
    with pytest.raises(CheckError, match="values"):
        read_network(data)


def test_a_comment_ends_with_its_line_whatever_ends_the_line() -> None:
    for end in ("\n", "\r", "\r\n"):
        (case,) = read_query(f'{UNIT}; a "comment" | here{end}(assert (<= Y_0 -1))', 1, 1)
        assert len(case.rows) == 1
    with pytest.raises(CheckError, match="quoted"):
        read_query(f"{UNIT}; comment\r(assert (<= |Y_0| -1))", 1, 1)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="children are forked")
def test_a_child_that_dies_in_the_middle_of_its_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from verifier.checker import parallel

    def dies(checker, jobs, streams, share, answer) -> None:
        os.write(answer.fileno(), b"\0\0\1\0half")
        os._exit(1)

    monkeypatch.setattr(parallel, "_work", dies)
    monkeypatch.setattr(parallel, "WORTH_FORKING", 0)
    chunks = tuple(np.array(c) for c in ([SPLIT, REF, 0, 1, REF, 0, 2], [LEAF], [LEAF]))
    checker = Checker(IDENTITY, read_query(NEGATIVE, 1, 1))
    certificate = Certificate(NOWHERE, NOWHERE, 1, chunks, "")
    with pytest.raises(CheckError, match="died"):
        checker.check(certificate, lambda jobs, words: parallel.prove_all(checker, jobs, words, 2))


def test_tensors_without_elements_are_refused() -> None:
    onnx = pytest.importorskip("onnx")
    from tests.checker.models import model
    from verifier.checker.onnx import read_network

    node = onnx.helper.make_node
    constants = {"from": np.array([0]), "to": np.array([0]), "w": np.zeros((0, 3), np.float32)}
    nodes = [node("Slice", ["x", "from", "to"], ["nothing"]), node("MatMul", ["nothing", "w"], ["y"])]
    with pytest.raises(CheckError, match="no element"):
        read_network(model([nodes[0], node("Relu", ["nothing"], ["y"])], {"x": [2]}, constants))
    with pytest.raises(CheckError, match="no element"):
        read_network(model(nodes, {"x": [2]}, constants))


def test_a_query_cannot_multiply_its_constraints() -> None:
    """A conjunction of 3,000 constraints with a disjunction of 20,000 is 60 million in a file of 400 kB."""
    many, either = "(<= Y_0 1)" * 3000, f"(or {'(<= Y_0 0)' * 20_000})"
    for text in (f"(assert (and {many} {either}))", f"(assert (and {many}))(assert {either})"):
        with pytest.raises(CheckError, match="constraints"):
            read_query(UNIT + text, 1, 1)
