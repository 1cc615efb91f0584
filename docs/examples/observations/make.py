"""Makes thermostat.onnx and average.onnx beside this file from the controller of the example `latent`.

Needs NumPy and onnx. Takes a second.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
CONTROLLER = HERE.parent / "latent" / "controller.onnx"
AVERAGE = np.array([[1, 0, 0, 0, 0, 0], [0, 0.25, 0.25, 0.25, 0.25, 0], [0, 0, 0, 0, 0, 1]], dtype=np.float32)


def layers(model: onnx.ModelProto) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights (in, out) and biases of its layers."""
    arrays = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    gemms = [node for node in model.graph.node if node.op_type == "Gemm"]
    return [(arrays[node.input[1]], arrays[node.input[2]]) for node in gemms]


def write(path: Path, parts: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Fully connected layers with ReLU between them."""
    nodes, constants, value = [], [], "x"
    for number, (weight, bias) in enumerate(parts):
        last = number + 1 == len(parts)
        constants += [numpy_helper.from_array(weight, f"w{number}"), numpy_helper.from_array(bias, f"b{number}")]
        name = "y" if last else f"z{number}"
        nodes.append(helper.make_node("Gemm", [value, f"w{number}", f"b{number}"], [name]))
        if not last:
            nodes.append(helper.make_node("Relu", [name], [f"a{number}"]))
        value = f"a{number}"
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])
        for name, size in (("x", len(parts[0][0])), ("y", len(parts[-1][1])))
    ]
    graph = helper.make_graph(nodes, "observations", ends[:1], ends[1:], constants)
    opset = [helper.make_opsetid("", 13)]
    path.write_bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


def main() -> None:
    """The thermostat reads the set point, one room temperature in the place of four, and the one outside."""
    (weight, bias), *rest = layers(onnx.load(CONTROLLER))
    merged = np.stack([weight[0], weight[1:5].sum(axis=0), weight[5]])
    write(HERE / "thermostat.onnx", [(merged, bias), *rest])
    write(HERE / "average.onnx", [(AVERAGE.T.copy(), np.zeros(3, dtype=np.float32))])


if __name__ == "__main__":
    main()
