"""The part of ``certify coverage`` that prunes."""

from __future__ import annotations

import argparse
import gzip
import os
from pathlib import Path

import numpy as np

from specs.errors import CertifyError
from specs.graph import Graph
from specs.hashes import sha256_of
from specs.hulls.pruning import gap_spec, pruned
from specs.loading.onnx_writer import write_onnx
from verifier.attack.pruned import agreement, needs_of
from verifier.commands.save import save_text
from verifier.files import is_onnx, stem
from verifier.report.pruning import Pruning


def prune(options: argparse.Namespace, model: Path, graph: Graph, inputs: np.ndarray) -> Pruning:
    """Write the pruned network to ``options.prune`` and its question beside it. Raises ``CertifyError``."""
    target: Path = options.prune
    try:
        found = pruned(graph, inputs, options.min_support)
    except ValueError as error:
        raise CertifyError(f"{model} {error}") from None
    data = write_onnx(found.graph)
    target.write_bytes(data)
    reference, original = str(model), _onnx(model) if is_onnx(model) else write_onnx(graph)
    same = agreement(graph, original, data, inputs)
    if not is_onnx(model) or (same.different and options.min_support == 1):
        reference, same = f"{model} as it was read", agreement(graph, write_onnx(graph), data, inputs)
    spec = target.with_suffix(".yaml")
    save_text(gap_spec(stem(model), os.path.relpath(model, spec.parent), target.name, graph, inputs), spec)
    attacks = []
    if options.attack is not None:
        digests = {"model": sha256_of(model), "spec": sha256_of(options.spec)}
        attacks = needs_of(options.attack, options.spec, model, target, digests, dict(options.set))
    return Pruning(target, sha256_of(target), spec, options.min_support, found.units, reference, same, attacks)


def _onnx(model: Path) -> bytes:
    data = model.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
