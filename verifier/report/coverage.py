"""Coverage of a network by data, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from specs.hulls.coverage import Layer
from verifier.report.pruning import Pruning

SHOWN = 12  # units of one list, and patterns


@dataclass(frozen=True)
class Coverage:
    """The layers of ``model`` on the examples of ``data``, with the hashes of both files."""

    model: str
    model_sha256: str
    data: str
    data_sha256: str
    examples: int
    layers: Mapping[str, Layer]
    pruning: Pruning | None = None


def text(found: Coverage) -> str:
    """Without a final line break."""
    lines = [
        f"{found.model} (sha256:{found.model_sha256})",
        f"on the {found.examples} examples of {found.data} (sha256:{found.data_sha256}), as float64 computes it",
    ]
    for name, layer in found.layers.items():
        lines += ["", *_layer(name, layer)]
    lines += ["", "Counts and ranges are exact statements about this file. They say nothing about other inputs."]
    return "\n".join(lines)


def json_text(found: Coverage) -> str:
    """Everything but the patterns themselves, of which there are the frequencies."""
    whole: dict[str, Any] = {
        "model": {"path": found.model, "sha256": found.model_sha256},
        "data": {"path": found.data, "sha256": found.data_sha256, "examples": found.examples},
        "layers": {name: _plain(layer) for name, layer in found.layers.items()},
    }
    if found.pruning is not None:
        whole["pruned"] = found.pruning.to_json()
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"


def _layer(name: str, layer: Layer) -> list[str]:
    missing = layer.missing_mass
    return [
        f"{name}: {layer.units} units from {layer.lowest.min():.6g} to {layer.highest.max():.6g}",
        f"  never active   {_units(layer.never_active)}",
        f"  always active  {_units(layer.always_active)}",
        f"  sign patterns  {len(layer.frequencies)}, the most frequent {_frequencies(layer)}",
        f"  not seen       estimated probability {float(missing):.4g} of a pattern that is not among them "
        f"({layer.seen_once} of {layer.examples} examples are alone in theirs; Good and Turing)",
    ]


def _units(units: list[int]) -> str:
    if not units:
        return "none"
    more = f" and {len(units) - SHOWN} more" if len(units) > SHOWN else ""
    return f"{len(units)}: {', '.join(map(str, units[:SHOWN]))}{more}"


def _frequencies(layer: Layer) -> str:
    shown = layer.frequencies[:3].tolist()
    return f"on {', '.join(map(str, shown))} examples"


def _plain(layer: Layer) -> dict[str, Any]:
    return {
        "units": layer.units,
        "positive": layer.positive.tolist(),
        "negative": layer.negative.tolist(),
        "lowest": layer.lowest.tolist(),
        "highest": layer.highest.tolist(),
        "never_active": layer.never_active,
        "always_active": layer.always_active,
        "patterns": len(layer.frequencies),
        "frequencies": layer.frequencies.tolist(),
        "seen_once": layer.seen_once,
        "missing_mass": float(layer.missing_mass),
    }
