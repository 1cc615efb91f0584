"""Names of internal tensors, in models from ONNX files and from PyTorch."""

from __future__ import annotations

from pathlib import Path

import pytest

from specs.compose import internal_tensor
from specs.loading import load_model
from tests.unit.specs.compose.modules import dense, write

LAYERS = (([[1.0, 2.0]], [0.0, 1.0]), ([[1.0], [1.0]], [0.0]), ([[1.0]], [0.0]))


def test_names_of_the_file_and_numbers_of_layers() -> None:
    graph = dense(*LAYERS)
    names = {name: internal_tensor(graph, name) for name in ("hidden2", "relu2", "pre2", "linear2", "linear3")}
    assert names["hidden2"] == names["relu2"] == "hidden2"
    assert names["pre2"] == names["linear2"] == graph.by_name["hidden2"].inputs[0]
    assert names["linear3"] == graph.outputs[0]


def test_an_onnx_file_is_read_with_its_names(tmp_path: Path) -> None:
    graph = load_model(write(tmp_path / "net.onnx", dense(*LAYERS)))
    assert internal_tensor(graph, "hidden1") == "hidden1"


def test_unknown_names_are_answered_with_the_nearest() -> None:
    graph = dense(*LAYERS)
    with pytest.raises(ValueError, match="has no layer 'relu7'; the nearest are relu1, relu2"):
        internal_tensor(graph, "relu7")
    with pytest.raises(ValueError, match="has no layer 'hiden2'; the nearest are hidden2"):
        internal_tensor(graph, "hiden2")
    with pytest.raises(ValueError, match="it has linear1"):
        internal_tensor(graph, "qqqq")


def test_pytorch_programs(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))
    torch.save(net.state_dict(), tmp_path / "net.pt")
    graph = load_model(tmp_path / "net.pt", arch={"sequential": ["linear", "tanh", "linear"]})
    x = torch.tensor([[0.5, -1.0]])
    for name, expected in (("tanh1", net[:2](x)), ("pre1", net[:1](x)), ("linear2", net(x))):
        part = type(graph)(graph.nodes, graph.inputs, (internal_tensor(graph, name),))
        found = part.evaluate_flat(x.numpy())
        assert found == pytest.approx(expected.detach().numpy().reshape(-1), abs=1e-6)  # float32 against float64
