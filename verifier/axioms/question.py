"""What is to be shown of the network in front of an overseer, as a specification of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from specs.language.axioms.spec import AxiomSpec
from specs.language.text.decimals import format_decimal
from verifier.axioms.cells import Region


def outputs_spec(spec: AxiomSpec, empty: Sequence[Region]) -> str:
    """A spec.yaml that says: no output of the target lies in any of these regions, their borders included."""
    assert spec.target_file is not None
    name, x = spec.target, spec.inputs.name
    lower, upper = ([format_decimal(v) for v in end] for end in spec.box)  # type: ignore[arg-type]
    box = f"lo: [{', '.join(map(str, lower))}], hi: [{', '.join(map(str, upper))}]"
    ways = [" or ".join(_outside(region)) for region in empty]
    return f"""certify: "1.0"
name: outputs
description: What the outputs of {name} avoid. Everywhere else answers show what is to be shown.
models: {{{name}: {{path: {_quoted(spec.target_file.resolve())}}}}}
inputs: {{{x}: {{shape: {list(spec.inputs.shape)}, box: {{{box}}}}}}}
let: {{answer: {name}({x})}}
require:
  - {{id: outputs, assert: "{" and ".join(f"({way})" for way in ways)}"}}
"""


def _outside(region: Region) -> list[str]:
    low, up = region
    found = []
    for k, (l, u) in enumerate(zip(low, up)):
        found += [] if l is None else [f"answer[{k}] < {format_decimal(l)}"]
        found += [] if u is None else [f"answer[{k}] > {format_decimal(u)}"]
    return found


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
