"""The monitor of a certified requirement: written as ONNX, its theorem, and how much it accepts of held-out data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from specs.errors import CertifyError
from specs.graph import Graph
from specs.hulls.monitor import ACCEPT
from specs.language.dataset import Examples, read_examples
from specs.language.monitors import MonitorPlan
from verifier.question import Requirement

LEVEL = Fraction(1, 100)
"""Of the interval of the acceptance rate: it misses with at most this probability."""


@dataclass(frozen=True)
class Acceptance:
    """``accepted`` of the ``examples`` of ``file``, decided ``by`` a runtime; the rate's bounds with ``confidence``."""

    file: Path
    sha256: str
    accepted: int
    examples: int
    lower: Fraction
    upper: Fraction
    by: str
    confidence: Fraction = 1 - LEVEL

    @property
    def text(self) -> str:
        return (
            f"{self.accepted} of {self.examples} examples of {self.file.name} accepted ({self.by}): the rate is in "
            f"[{float(self.lower):.6g}, {float(self.upper):.6g}] with confidence {float(self.confidence):g}, if they "
            "are independent draws that the hull was not built on (Clopper and Pearson)"
        )


@dataclass(frozen=True)
class Exported:
    """What became of a monitor. ``why`` says why there is none; ``path`` is None also where nothing is kept."""

    requirement: str
    path: Path | None = None
    sha256: str = ""
    sentence: str = ""
    acceptance: Acceptance | None = None
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        found = self.acceptance
        rate = None
        if found is not None:
            rate = {
                "data": str(found.file),
                "sha256": found.sha256,
                "accepted": found.accepted,
                "examples": found.examples,
                "interval": [float(found.lower), float(found.upper)],
                "confidence": float(found.confidence),
                "by": found.by,
            }
        return {
            "requirement": self.requirement,
            "file": str(self.path) if self.path else None,
            "sha256": self.sha256 or None,
            "sentence": self.sentence or None,
            "acceptance": rate,
            "why": self.why or None,
        }

    def lines(self) -> list[tuple[str, str]]:
        """Names and values for a report."""
        if self.why:
            return [("not written", self.why)]
        accepted = self.acceptance.text if self.acceptance else "not measured: name data under monitor.held_out"
        return [("file", str(self.path or "not kept")), ("accepts", accepted), ("", self.sentence)]


def export_monitor(plan: MonitorPlan, requirement: Requirement, certified: bool, folder: Path | None) -> Exported:
    """Write the monitor into ``folder`` if its requirement is certified. Raises ``CertifyError`` for bad data."""
    if not certified:
        return Exported(plan.requirement, why=f"{plan.requirement} is not certified, so that it would promise nothing")
    from specs.loading.onnx_writer import write_onnx

    model = write_onnx(plan.graph)
    path = None
    if folder is not None:
        path = folder / plan.export
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(model)
        partial.replace(path)
    digest = hashlib.sha256(model).hexdigest()
    acceptance = None if plan.held_out is None else acceptance_of(plan, model)
    return Exported(plan.requirement, path, digest, theorem(plan, requirement, digest), acceptance)


def theorem(plan: MonitorPlan, requirement: Requirement, digest: str) -> str:
    """What is true of the system of model and monitor."""
    stated = requirement.stated
    assert stated.inputs is not None
    inside = " and ".join([stated.inputs.describe(), *(f"({condition})" for condition in plan.conditions)])
    return (
        f"FOR ALL {plan.inputs.name} IN {{{inside}}}: the monitored system, which answers as {plan.model} does where "
        f"`{ACCEPT}` of {plan.export} (sha256:{digest}) is true and abstains elsewhere, abstains or satisfies: "
        f"{requirement.promise}. RESTS ON the certificate of {plan.requirement}, whose hull has the numbers of the "
        "monitor. DOES NOT SAY: anything about a runtime's own rounding, or how often it abstains."
    )


def acceptance_of(plan: MonitorPlan, model: bytes) -> Acceptance:
    """How much of the held-out data the monitor accepts, in onnxruntime where it is installed."""
    from verifier.statistics.clopper_pearson import interval

    assert plan.held_out is not None
    try:
        data = read_examples(plan.held_out)
    except ValueError as error:
        raise CertifyError(str(error)) from None
    if data.inputs.shape[1] != plan.inputs.size:
        raise CertifyError(f"{data.file} has examples of {data.inputs.shape[1]} values, not of {plan.inputs.size}")
    accepted, by = _accepted(plan, model, data)
    bounds = interval(accepted, len(data.inputs), LEVEL)
    return Acceptance(data.file, data.sha256, accepted, len(data.inputs), bounds.lower, bounds.upper, by)


def _accepted(plan: MonitorPlan, model: bytes, data: Examples) -> tuple[int, str]:
    mean, scale = (np.array([float(v) for v in part]) for part in (plan.inputs.mean, plan.inputs.scale))
    x = (data.inputs - mean) / scale
    try:
        import onnxruntime
    except ImportError:
        return sum(bool(plan.graph.evaluate_flat(row)[-1]) for row in x), "reference evaluation in float64"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    count = sum(bool(session.run([ACCEPT], feed)[0][0]) for feed in _feeds(plan.graph, session, x))
    return count, f"onnxruntime {onnxruntime.__version__}"


def _feeds(graph: Graph, session: Any, x: np.ndarray) -> Any:
    """What the runtime is given for each row of ``x``."""
    kinds = {"tensor(float)": np.float32, "tensor(double)": np.float64}
    given = [(one.name, kinds[one.type], graph.by_name[one.name].shape) for one in session.get_inputs()]
    sizes = [int(np.prod(shape)) for _, _, shape in given]
    for row in x:
        parts = np.split(row, np.cumsum(sizes)[:-1])
        yield {name: part.astype(kind).reshape(shape) for (name, kind, shape), part in zip(given, parts)}
