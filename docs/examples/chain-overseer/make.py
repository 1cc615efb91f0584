"""Builds the target: Batcher's odd-even merge sort of eight numbers (AFIPS 1968), one ReLU for each comparator.

Nothing is trained: ``max(a, b) = b + relu(a - b)`` and ``min(a, b) = a - relu(a - b)``, so the network sorts exactly.
``chain.nnchain`` is what ``certify chain.yaml --out DIR`` writes in the folder ``../chain``.
"""

from pathlib import Path

from specs.core.forms import Affine, Tape
from specs.core.network import network
from specs.graph import Graph
from specs.loading.onnx_writer import write_onnx

LAYERS = (
    ((0, 1), (2, 3), (4, 5), (6, 7)),
    ((0, 2), (1, 3), (4, 6), (5, 7)),
    ((1, 2), (5, 6)),
    ((0, 4), (1, 5), (2, 6), (3, 7)),
    ((2, 4), (3, 5)),
    ((1, 2), (3, 4), (5, 6)),
)


def sorting_network() -> Graph:
    """Eight numbers in, the same in ascending order out."""
    tape = Tape(8)
    values = [Affine.atom(i) for i in range(8)]
    for layer in LAYERS:
        for low, high in layer:
            a, b = values[low], values[high]
            values[low], values[high] = tape.minimum(a, b, 0), tape.maximum(a, b, 0)
    return network(tape, values, ["q"], [8], 0)


if __name__ == "__main__":
    Path("sort.onnx").write_bytes(write_onnx(sorting_network()))
