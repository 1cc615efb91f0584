"""Questions that make no sense: one clear error each, in the user's terms, and never a verdict."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from specs.errors import CertifyError
from tests.soundness.deciding import decide_files
from tests.soundness.test_float_traps import network, query

pytest.importorskip("onnx")

BOX = [("-1", "1")]
GOOD = query(BOX, "(<= Y_0 0)")


def refusal(folder: Path, model: bytes, spec: str) -> str:
    """The error's text; no certificate and no witness may be there."""
    (folder / "net.onnx").write_bytes(model)
    (folder / "query.vnnlib").write_text(spec, encoding="utf-8")
    with pytest.raises(CertifyError) as caught:
        decide_files(folder / "net.onnx", folder / "query.vnnlib", folder / "proof.nncert", 2.0)
    assert sorted(path.name for path in folder.iterdir()) == ["net.onnx", "query.vnnlib"]
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", ["weight", "bias"])
def test_weights_that_are_no_numbers(value: float, place: str, tmp_path: Path) -> None:
    weight, bias = (value, 0.0) if place == "weight" else (1.0, value)
    text = refusal(tmp_path, network([([[weight]], [bias]), ([[1]], [0])]), GOOD)
    assert "net.onnx" in text
    assert "finite" in text or "NaN" in text or "nan" in text or "inf" in text


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999999999", "0x10", "1/3", "--1", "1e", "", "⅓"])
@pytest.mark.parametrize("where", ["box", "threshold"])
def test_numbers_that_are_none(number: str, where: str, tmp_path: Path) -> None:
    spec = query([("-1", number)], "(<= Y_0 0)") if where == "box" else query(BOX, f"(<= Y_0 {number})")
    assert "query.vnnlib" in refusal(tmp_path, network([([[1]], [0])]), spec)


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        (query([("1", "-1")], "(<= Y_0 0)"), "X_0"),
        (query([("0.3", "0.2999999999999999999999999")], "(<= Y_0 0)"), "X_0"),
        (query(BOX, "(<= Y_1 0)"), "Y_1"),
        (query(BOX, "(<= Y_0 X_7)"), "X_7"),
        (query(BOX, "(<= Y_0 0)", outputs=2), "2"),
        (query([("-1", "1")] * 2, "(<= Y_0 0)"), "2"),
        (query(BOX, "(<= (* Y_0 Y_0) 0)"), "product"),
        (query(BOX, "(= Y_0 0)").replace("(= Y_0 0)", "(equal Y_0 0)"), "equal"),
        (query(BOX, "(<= Y_0 0"), "query.vnnlib"),
        ("(declare-const X_0 Real)(declare-const Y_0 Real)(assert (>= X_0 0))(assert (<= Y_0 0))", "X_0"),
        ("", "query.vnnlib"),
    ],
    ids=["lower above upper", "by a hair", "no such output", "no such input", "too many outputs", "too many inputs",
         "a product", "no such relation", "a bracket missing", "unbounded", "empty"],
)  # fmt: skip
def test_specifications_without_meaning(spec: str, word: str, tmp_path: Path) -> None:
    text = refusal(tmp_path, network([([[1]], [0])]), spec)
    assert "query.vnnlib" in text
    assert word in text


def test_operators_that_do_not_exist(tmp_path: Path) -> None:
    """All of them in one error, each with its place."""
    import onnx
    from onnx import helper

    nodes = [
        helper.make_node("Frobnicate", ["x"], ["h"], name="first"),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Defenestrate", ["r"], ["y"], name="second"),
    ]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 1]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    text = refusal(tmp_path, model.SerializeToString(), GOOD)
    assert "Frobnicate" in text
    assert "Defenestrate" in text
    assert "first" in text
    assert "second" in text


@pytest.mark.parametrize("damage", ["empty", "text", "half", "noise"])
def test_models_that_are_none(damage: str, tmp_path: Path) -> None:
    good = network([([[1]], [0])])
    noise = np.random.default_rng(0).bytes(200)
    model = {"empty": b"", "text": b"hello\n" * 9, "half": good[: len(good) // 2], "noise": noise}[damage]
    assert "net.onnx" in refusal(tmp_path, model, GOOD)
