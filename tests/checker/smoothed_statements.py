"""Statements about the smoothed version of a linear classifier, whose votes and radius are known in closed form."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import patch

import numpy as np

from specs.graph import ops
from specs.loading.graph_builder import GraphBuilder
from specs.loading.onnx_writer import write_onnx
from tests.checker.relaxed_statements import parts_of, repacked
from tests.checker.statements import F
from verifier.checker.errors import CheckError
from verifier.checker.smoothing import read_smoothing, verdict_on_smoothing
from verifier.smoothing.radius import Smoothed, certify_radius

CENTER, SIGMA = (F("0.02"), F("0.01")), F("0.05")
DISTANCE = F("0.02")  # of the centre from where the classes meet: (3 * 0.02 + 4 * 0.01) / 5


def linear(path: Path, weights=(3.0, 4.0), bias=0.0) -> Path:
    """Scores (w x + b, 0): class 0 where w x + b > 0."""
    matrix = np.array([[w, 0.0] for w in weights], dtype=np.float32)
    builder = GraphBuilder()
    value = builder.input("x", (1, len(weights)))
    value = builder.add(ops.MatMul(), value, builder.constant(matrix))
    value = builder.add(ops.Add(), value, builder.constant(np.array([[bias, 0.0]], dtype=np.float32)))
    path.write_bytes(write_onnx(builder.build(("x",), (value,))))
    return path


def smoothed(folder: Path, **options) -> Smoothed:
    """Of the linear classifier; nothing is forced to the disk, which is slow."""
    settings = {"queries": 400, "confidence": F(99, 100), **options}
    with patch("verifier.statistics.ledger.os.fsync"):
        return certify_radius(folder, linear(folder / "m.onnx"), CENTER, SIGMA, **settings)


def verdict(data: bytes):
    return verdict_on_smoothing(read_smoothing(data))


def passes(data: bytes) -> bool:
    try:
        return verdict(data).accepted
    except CheckError:
        return False


def stated(data: bytes) -> dict:
    return json.loads(parts_of(data)["smoothing.json"])


def restated(data: bytes, **changes) -> bytes:
    return repacked({**parts_of(data), "smoothing.json": json.dumps({**stated(data), **changes}).encode()})
