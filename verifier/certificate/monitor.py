"""The monitor of a certified requirement: written as ONNX, its theorem, and how much it accepts of held-out data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from specs.errors import CertifyError
from specs.graph import Graph
from specs.hulls.monitor import ACCEPT
from specs.language.guards import GuardPlan
from specs.language.inputs.dataset import Examples, read_examples
from specs.language.monitors import MonitorPlan
from verifier.attack.runtime import refusals
from verifier.question import Requirement

LEVEL = Fraction(1, 100)
"""Of the interval of the acceptance rate: it misses with at most this probability."""


@dataclass(frozen=True)
class Acceptance:
    """``accepted`` of the ``examples`` of ``file``, decided ``by`` a runtime; the rate's bounds with ``confidence``.

    ``built_on``: the hull was built on this file, so that the bounds mean nothing.
    """

    file: Path
    sha256: str
    accepted: int
    examples: int
    lower: Fraction
    upper: Fraction
    by: str
    built_on: bool
    confidence: Fraction = 1 - LEVEL

    @property
    def text(self) -> str:
        if self.built_on:
            return (
                f"{self.accepted} of {self.examples} examples of {self.file.name} accepted ({self.by}): "
                "the hull was built on these, so that this says nothing about others"
            )
        return (
            f"{self.accepted} of {self.examples} examples of {self.file.name} accepted ({self.by}): the rate is in "
            f"[{float(self.lower):.6g}, {float(self.upper):.6g}] with confidence {float(self.confidence):g}, if they "
            "are independent draws and it was not built on them (Clopper and Pearson)"
        )


@dataclass(frozen=True)
class Exported:
    """What became of a monitor. ``why`` says why there is none; ``path`` is None also where nothing is kept.

    ``unmeasured`` says why there is no ``acceptance``.
    """

    requirement: str
    path: Path | None = None
    sha256: str = ""
    sentence: str = ""
    acceptance: Acceptance | None = None
    unmeasured: str = "name data under monitor.held_out"
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
                "interval": None if found.built_on else [float(found.lower), float(found.upper)],
                "confidence": float(found.confidence),
                "by": found.by,
            }
        return {
            "requirement": self.requirement,
            "file": str(self.path) if self.path else None,
            "sha256": self.sha256 or None,
            "sentence": self.sentence or None,
            "acceptance": rate,
            "unmeasured": None if rate else self.unmeasured,
            "why": self.why or None,
        }

    def lines(self) -> list[tuple[str, str]]:
        """Names and values for a report."""
        if self.why:
            return [("not written", self.why)]
        accepted = self.acceptance.text if self.acceptance else f"not measured: {self.unmeasured}"
        return [("file", str(self.path or "not kept")), ("accepts", accepted), ("", self.sentence)]


def export_monitor(plan: MonitorPlan, requirement: Requirement, certified: bool, folder: Path | None) -> Exported:
    """Write the monitor into ``folder`` if its requirement is certified."""
    if not certified:
        return Exported(plan.requirement, why=f"{plan.requirement} is not certified, so that it would promise nothing")
    from specs.loading.onnx_writer import write_onnx

    model = write_onnx(plan.graph)
    path = placed(model, folder, plan.export)
    digest = hashlib.sha256(model).hexdigest()
    return measured(Exported(plan.requirement, path, digest, theorem(plan, requirement, digest)), plan, model)


def placed(model: bytes, folder: Path | None, name: str) -> Path | None:
    """The file, written whole or not at all; None without a folder."""
    if folder is None:
        return None
    path = folder / name
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(model)
    partial.replace(path)
    return path


def measured(exported: Exported, plan: MonitorPlan | GuardPlan, model: bytes) -> Exported:
    """With how much of the held-out data is accepted, where some is named."""
    if plan.held_out is None:
        return exported
    try:
        return replace(exported, acceptance=acceptance_of(plan, model))
    except CertifyError as error:  # after a proof that need not be lost
        return replace(exported, unmeasured=str(error))


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


def acceptance_of(plan: MonitorPlan | GuardPlan, model: bytes) -> Acceptance:
    """How much of the held-out data the monitor accepts, in onnxruntime where it is installed and runs it.

    Raises ``CertifyError`` for data that cannot be read or does not fit.
    """
    from verifier.statistics.clopper_pearson import interval

    assert plan.held_out is not None
    try:
        data = read_examples(plan.held_out)
    except ValueError as error:
        raise CertifyError(str(error)) from None
    if data.inputs.shape[1] != plan.inputs.size:
        raise CertifyError(f"{data.file} has examples of {data.inputs.shape[1]} values, not of {plan.inputs.size}")
    accepted, by = _accepted(plan, model, data)
    built_on = data.sha256 in plan.built_on
    bounds = interval(accepted, len(data.inputs), LEVEL)
    return Acceptance(data.file, data.sha256, accepted, len(data.inputs), bounds.lower, bounds.upper, by, built_on)


def _accepted(plan: MonitorPlan | GuardPlan, model: bytes, data: Examples) -> tuple[int, str]:
    mean, scale = (np.array([float(v) for v in part]) for part in (plan.inputs.mean, plan.inputs.scale))
    x = (data.inputs - mean) / scale
    try:
        import onnxruntime
    except ImportError:
        return _by_reference(plan.graph, x)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        count = sum(bool(session.run([ACCEPT], feed)[0][0]) for feed in _feeds(plan.graph, session, x))
    except refusals(onnxruntime):
        return _by_reference(plan.graph, x)
    return count, f"onnxruntime {onnxruntime.__version__}"


def _by_reference(graph: Graph, x: np.ndarray) -> tuple[int, str]:
    return sum(bool(graph.evaluate_flat(row)[-1]) for row in x), "reference evaluation in float64"


def _feeds(graph: Graph, session: Any, x: np.ndarray) -> Any:
    """What the runtime is given for each row of ``x``."""
    kinds = {"tensor(float)": np.float32, "tensor(double)": np.float64}
    given = [(one.name, kinds[one.type], graph.by_name[one.name].shape) for one in session.get_inputs()]
    sizes = [int(np.prod(shape)) for _, _, shape in given]
    for row in x:
        parts = np.split(row, np.cumsum(sizes)[:-1])
        yield {name: part.astype(kind).reshape(shape) for (name, kind, shape), part in zip(given, parts)}
