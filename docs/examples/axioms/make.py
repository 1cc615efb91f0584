"""Makes ``target.onnx``: a network of two inputs and two outputs, whose weights are multiples of 1/8."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from specs.compose import Composer
from specs.graph import ops
from specs.loading.onnx_writer import write_onnx

HIDDEN = 4


def make(file: Path) -> None:
    rng = np.random.default_rng(5)
    inner, outer = rng.integers(-4, 5, (2, HIDDEN)) / 8, rng.integers(-4, 5, (HIDDEN, 2)) / 8
    composer = Composer()
    value = composer.input("x", (1, 2))
    for weight, bias in ((inner, np.full(HIDDEN, 0.25)), (outer, np.array([0.5, 0.25]))):
        product = composer.add(ops.MatMul(), value, composer.constant(weight.astype(np.float32), "weight"))
        value = composer.add(ops.Add(), product, composer.constant(bias.astype(np.float32), "bias"))
        value = composer.add(ops.Relu(), value) if weight is inner else value
    file.write_bytes(write_onnx(composer.build(["x"], [value])))


if __name__ == "__main__":
    make(Path(__file__).with_name("target.onnx"))
