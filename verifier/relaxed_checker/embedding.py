"""iota: the state that a real input causes in a layer of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from specs.errors import CertifyError
from specs.graph import Graph
from specs.hashes import sha256_of
from specs.loading import load_model
from verifier.relaxed_checker.identity import identity


@dataclass(eq=False)
class Layer:
    """What a layer of a network holds for an input, computed in float64; ``tensor`` is its name in the file.

    Raises ``CertifyError`` if there is no such tensor.
    """

    file: Path
    tensor: str
    name: str = field(init=False)
    sha256: str = field(init=False)
    graph: Graph = field(init=False)

    def __post_init__(self) -> None:
        graph = load_model(self.file)
        if self.tensor not in graph.by_name:
            raise CertifyError(f"{self.file}: there is no tensor {self.tensor!r}")
        self.graph = replace(graph, outputs=(self.tensor,))
        self.name = f"{self.tensor} of {self.file.name}"
        self.sha256 = identity("layer", sha256_of(self.file), self.tensor)

    def __call__(self, x: Sequence[float]) -> list[float]:
        found: list[float] = self.graph.evaluate_flat(x).tolist()
        return found
