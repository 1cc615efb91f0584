"""A model file is data: whatever it holds, the answer is a graph or one clear error."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from specs.errors import ModelError, UnsafeModelFileError, UnsupportedOpError
from specs.graph import Graph
from specs.loading import graph_builder, load_model, model_file
from specs.loading.onnx import load_onnx, parse_onnx
from tests.unit.specs.loading.onnx_models import model, onnx, single

FLOAT = 1
RELU = single("Relu", (1, 3), {}, 13)
CONV = single("Conv", (1, 2, 4, 4), {"w": np.ones((2, 2, 3, 3), np.float32)}, 13, pads=[1, 1, 1, 1])
CHAIN = model(
    [
        onnx.helper.make_node("Shape", ["x"], ["s"]),
        onnx.helper.make_node("Slice", ["s", "one", "two"], ["n"]),
        onnx.helper.make_node("Concat", ["minus", "n"], ["target"], axis=0),
        onnx.helper.make_node("Reshape", ["x", "target"], ["r"]),
        onnx.helper.make_node("Gemm", ["r", "w", "b"], ["g"], alpha=0.5, transB=1),
        onnx.helper.make_node("Clip", ["g", "low"], ["y"]),
    ],
    {"x": (FLOAT, ("N", 4, 3))},
    ["y"],
    {
        "one": np.int64([1]), "two": np.int64([2]), "minus": np.int64([-1]), "low": np.float32(0.0),
        "w": np.ones((5, 4), np.float32), "b": np.ones(5, np.float32),
    },
    13,
)  # fmt: skip


def test_the_seed_models_load() -> None:
    assert [parse_onnx(seed).output_size for seed in (RELU, CONV, CHAIN)] == [3, 32, 15]


@given(st.binary(max_size=200))
def test_random_bytes_are_a_graph_or_a_model_error(data: bytes) -> None:
    graph_or_error(data)


@settings(max_examples=400)
@given(st.sampled_from([RELU, CONV, CHAIN]), st.data())
def test_damaged_models_are_a_graph_or_a_model_error(seed: bytes, data: st.DataObject) -> None:
    content = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] = data.draw(st.integers(0, 255))
    graph_or_error(bytes(content))


@pytest.mark.parametrize("seed", [RELU, CONV, CHAIN], ids=["relu", "conv", "chain"])
def test_every_truncation_is_a_graph_or_a_model_error(seed: bytes) -> None:
    for size in range(len(seed)):
        graph_or_error(seed[:size])


def graph_or_error(data: bytes) -> None:
    """Whatever the reader raises but a located ``ModelError`` fails the test."""
    message = "m.onnx: "
    try:
        graph = parse_onnx(data, "m.onnx")
    except ModelError as error:
        message = str(error)
    else:
        assert isinstance(graph, Graph)
        assert all(name in graph.by_name for name in (*graph.inputs, *graph.outputs))
    assert message.startswith("m.onnx: ")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.onnx", b"", "is empty"),
        ("zeros.onnx", bytes(64), "not a valid ONNX model"),
        ("text.onnx", b"(declare-const X_0 Real)\n", "not a valid ONNX model"),
        ("cut.onnx.gz", gzip.compress(RELU, mtime=0)[:-6], "cut short"),
        ("head.onnx.gz", b"\x1f\x8b", "cut short"),
        ("damaged.onnx.gz", gzip.compress(RELU, mtime=0)[:-8] + bytes(8), "damaged gzip data"),
        ("more.onnx.gz", gzip.compress(RELU, mtime=0) + b"tail", "after the gzip data"),
        ("model.h5", RELU, "no model file by its name"),
    ],
)
def test_a_file_that_is_no_model_is_named_with_the_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError, match=reason) as caught:
        load_model(path)
    assert str(caught.value).startswith(str(path))


def test_a_missing_file_a_directory_and_a_pipe_are_model_errors(tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    os.mkfifo(tmp_path / "pipe.onnx")
    for name, reason in (("no.onnx", "no such file"), ("folder.onnx", "is a directory"), ("pipe.onnx", "regular")):
        with pytest.raises(ModelError, match=reason):
            load_model(tmp_path / name)
    with pytest.raises(ModelError, match="no such file"):
        load_model("nul\0byte.onnx")


def test_compressed_and_plain_files_are_told_apart_by_content(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(gzip.compress(RELU))
    (tmp_path / "b.onnx.gz").write_bytes(RELU)
    assert load_model(tmp_path / "a.onnx") == load_model(str(tmp_path / "b.onnx.gz"))


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_file, "FREE_BYTES", 1 << 16)
    path = tmp_path / "bomb.onnx.gz"
    path.write_bytes(gzip.compress(bytes(10 << 20)))
    with pytest.raises(UnsafeModelFileError, match="unpacks to more than"):
        load_onnx(path)


def test_all_unsupported_operators_are_listed_at_once() -> None:
    make = onnx.helper.make_node
    branch = onnx.helper.make_graph([], "then", [], [])
    nodes = [
        make("NonZero", ["x"], ["a"], name="first"),
        make("Custom", ["x"], ["b"], domain="my.domain"),
        make("Relu", ["b"], ["c"]),
        make("If", ["a"], ["d"], then_branch=branch, else_branch=branch),
        make("Pad", ["x", "p"], ["e"], mode="strange"),
        make("Sum", ["a", "c", "d", "e"], ["y"]),
        make("Dead", ["x"], ["unused"]),
    ]
    content = model(nodes, {"x": (FLOAT, (1, 2))}, ["y"], {"p": np.int64([0, 0, 0, 1])}, 13)
    with pytest.raises(UnsupportedOpError) as caught:
        parse_onnx(content)
    assert caught.value.offenders == (
        ("NonZero", "first"), ("my.domain::Custom", "b"), ("If", "d"), ("Pad(mode='strange')", "e"),
    )  # fmt: skip


def test_all_malformed_nodes_are_listed_at_once() -> None:
    make = onnx.helper.make_node
    nodes = [
        make("MatMul", ["x", "w"], ["a"], name="product"),
        make("Concat", ["x", "x"], ["b"], axis=7, name="joined"),
        make("Add", ["x", "nowhere"], ["c"]),
        make("Sum", ["a", "b", "c"], ["y"]),
    ]
    content = model(nodes, {"x": (FLOAT, (1, 2))}, ["y"], {"w": np.ones((3, 1), np.float32)}, 13)
    with pytest.raises(ModelError, match=r"(?s)'product'.*'joined'.*'nowhere'"):
        parse_onnx(content)


def test_an_attribute_without_a_meaning_here_is_not_ignored() -> None:
    with pytest.raises(UnsupportedOpError, match="Relu with threshold"):
        parse_onnx(single("Relu", (1, 3), {}, 13, threshold=1.0))
    with pytest.raises(UnsupportedOpError, match="Relu with input 1"):
        parse_onnx(single("Relu", (1, 3), {"b": np.float32([1])}, 13))


@pytest.mark.parametrize(
    ("element", "shape", "reason"),
    [
        (7, (1, 3), "of type int64"),
        (8, (1, 3), "not a tensor of numbers"),
        (9, (1, 3), "of type bool"),
        (FLOAT, ("N", "length"), "dynamic sizes beyond the batch"),
        (FLOAT, None, "declares no shape"),
    ],
)
def test_an_input_the_property_cannot_quantify_over_is_refused(element: int, shape: object, reason: str) -> None:
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    with pytest.raises(ModelError, match=reason):
        parse_onnx(model([node], {"x": (element, shape)}, ["y"], {}, 13))


def test_an_integer_input_that_is_cast_to_real_at_once_is_a_number() -> None:
    nodes = [onnx.helper.make_node("Cast", ["x"], ["r"], to=1), onnx.helper.make_node("Relu", ["r"], ["y"])]
    graph = parse_onnx(model(nodes, {"x": (7, (1, 3))}, ["y"], {}, 13))
    np.testing.assert_array_equal(graph.evaluate(np.array([-1, 0, 2]))[0], [[0, 0, 2]])


@pytest.mark.parametrize(("size", "count"), [(10**12, 1), (2**20, 6)])
def test_a_few_nodes_cannot_ask_for_unbounded_memory(size: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_builder, "MAX_FOLDED", 2**22)
    make = onnx.helper.make_node
    nodes, last = [], "x"
    for k in range(count):
        nodes += [
            make("ConstantOfShape", ["size"], [f"c{k}"]),
            make("Exp", [f"c{k}"], [f"e{k}"]),
            make("ReduceSum", [f"e{k}"], [f"s{k}"]),
            make("Add", [last, f"s{k}"], [f"y{k}"]),
        ]
        last = f"y{k}"
    content = model(nodes, {"x": (FLOAT, (1,))}, [last], {"size": np.int64([size])}, 13)
    with pytest.raises(ModelError, match=r"more than .* elements"):
        parse_onnx(content)


def external(tmp_path: Path, location: str, offset: int | None = None, size: int = 3) -> Path:
    """A model whose weight lies at ``location``."""
    loaded = onnx.load_from_string(single("Add", (1, 3), {"b": np.zeros(size, np.float32)}, 13))
    tensor = loaded.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    if offset is not None:
        tensor.external_data.add(key="offset", value=str(offset))
    path = tmp_path / "models" / "m.onnx"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(loaded.SerializeToString())
    return path


def test_external_weights_next_to_the_model_are_read(tmp_path: Path) -> None:
    path = external(tmp_path, "w.bin", offset=8)
    (path.parent / "w.bin").write_bytes(bytes(8) + np.float32([1, 2, 3]).tobytes())
    np.testing.assert_array_equal(load_onnx(path).evaluate(np.zeros(3))[0], [[1, 2, 3]])


def test_external_weights_outside_the_folder_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(12))
    for location in ("../secret.bin", str(secret), "sub/../../secret.bin"):
        with pytest.raises(UnsafeModelFileError, match="outside the model's folder"):
            load_onnx(external(tmp_path, location))
    path = external(tmp_path, "link.bin")
    (path.parent / "link.bin").symlink_to(secret)
    with pytest.raises(UnsafeModelFileError, match="outside the model's folder"):
        load_onnx(path)


def test_external_weights_that_do_not_fit_are_model_errors(tmp_path: Path) -> None:
    path = external(tmp_path, "w.bin")
    with pytest.raises(ModelError, match="missing next to the model"):
        load_onnx(path)
    (path.parent / "w.bin").write_bytes(bytes(11))
    with pytest.raises(ModelError, match="does not hold 12 bytes"):
        load_onnx(path)
    with pytest.raises(ModelError, match="does not hold 12 bytes"):
        load_onnx(external(tmp_path, "w.bin", offset=-4))
    with pytest.raises(ModelError, match="lie in another file"):
        parse_onnx(path.read_bytes())


def test_old_models_may_list_initialisers_as_inputs() -> None:
    loaded = onnx.load_from_string(single("Add", (1, 3), {"b": np.float32([1, 2, 3])}, 8))
    loaded.graph.input.insert(0, onnx.helper.make_tensor_value_info("b", FLOAT, (3,)))
    graph = parse_onnx(loaded.SerializeToString())
    assert graph.inputs == ("x",)


def test_ambiguous_files_are_refused() -> None:
    twice = onnx.load_from_string(single("Add", (1, 3), {"b": np.float32([1, 2, 3])}, 13))
    twice.graph.initializer.append(twice.graph.initializer[0])
    with pytest.raises(ModelError, match="two initialisers named 'b'"):
        parse_onnx(twice.SerializeToString())
    again = onnx.load_from_string(RELU)
    again.graph.node.append(again.graph.node[0])
    with pytest.raises(ModelError, match="2 values are named 'y0'"):
        parse_onnx(again.SerializeToString())
    with pytest.raises(ModelError, match="two graphs"):
        parse_onnx(RELU + RELU)


def test_an_opset_from_the_future_is_refused() -> None:
    loaded = onnx.load_from_string(RELU)
    loaded.opset_import[0].version = 99
    with pytest.raises(ModelError, match="opset 99"):
        parse_onnx(loaded.SerializeToString())


def test_loading_imports_nothing_heavy(tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "m.onnx").write_bytes(CHAIN)
    code = (
        "import sys; from specs.loading import load_model; load_model(sys.argv[1]); "
        "print(sorted({'onnx', 'scipy', 'torch', 'pydantic', 'typer', 'rich'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[4]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "m.onnx")], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
