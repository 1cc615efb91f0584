"""A network and its pruned copy, run: whether they agree on data, and which attacks need what was pruned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from specs.errors import CertifyError
from specs.graph import Graph
from specs.problem import Problem
from verifier.attack.runtime import refusals
from verifier.attack.witness import fails, outputs_at
from verifier.question import read_question

Needs = Literal["yes", "no", "no attack"]


@dataclass(frozen=True)
class Agreement:
    """Of two models in onnxruntime on every example: on how many they differ in any bit, and the largest difference."""

    examples: int
    different: int
    largest: float
    runtime: str

    @property
    def words(self) -> str:
        if not self.different:
            return f"equal bit by bit on all {self.examples} examples in {self.runtime}"
        where = f"on {self.different} of {self.examples} examples in {self.runtime}"
        return f"different {where}, by up to {self.largest:.6g}"


def agreement(graph: Graph, model: bytes, other: bytes, inputs: np.ndarray) -> Agreement:
    """How the outputs of two models with the inputs of ``graph`` compare. ``CertifyError`` without a runtime."""
    try:
        import onnxruntime
    except ImportError:
        raise CertifyError("onnxruntime runs both networks on the data: pip install onnxruntime") from None
    try:
        first, second = (_outputs(onnxruntime, graph, data, inputs) for data in (model, other))
    except refusals(onnxruntime) as error:
        raise CertifyError(f"onnxruntime does not run both networks on the data: {error}") from None
    same = (first.view(np.int64) == second.view(np.int64)).all(axis=1)
    largest = float(np.abs(first - second).max()) if not same.all() else 0.0
    return Agreement(len(inputs), int((~same).sum()), largest, f"onnxruntime {onnxruntime.__version__}")


def _outputs(onnxruntime: Any, graph: Graph, model: bytes, inputs: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    kinds = {"tensor(float)": np.float32, "tensor(double)": np.float64}
    given = [(one.name, kinds[one.type], graph.by_name[name].shape)
             for name, one in zip(graph.inputs, session.get_inputs(), strict=True)]  # fmt: skip
    ends = np.cumsum([int(np.prod(shape)) for _, _, shape in given])[:-1]
    found = []
    for row in inputs:
        feed = {name: x.astype(kind).reshape(shape) for (name, kind, shape), x in zip(given, np.split(row, ends))}
        found.append(np.concatenate([np.asarray(y, dtype=np.float64).reshape(-1) for y in session.run(None, feed)]))
    return np.stack(found)


@dataclass(frozen=True)
class Tried:
    """An attack on a requirement, and whether it needs the units that were pruned."""

    id: str
    needs: Needs

    @property
    def words(self) -> str:
        return {
            "yes": f"the attack on {self.id} needs unexercised units: without them it is none",
            "no": f"the attack on {self.id} does not need unexercised units: it is one without them, too",
            "no attack": f"the point given for {self.id} breaks nothing",
        }[self.needs]


def needs_of(
    report: Path, spec: Path, model: Path, other: Path, digests: Mapping[str, str], parameters: Mapping[str, str]
) -> list[Tried]:
    """Every attack in the ``report.json`` of a run on ``model`` and ``spec``, tried on ``other`` instead.

    ``digests`` are the SHA-256 of both files, under ``model`` and ``spec``. In both cases float64 computes the network,
    and rows are compared exactly. Raises ``CertifyError`` for a report without attacks, or of other files.
    """
    attacks = _attacks(report, digests)
    before, after = (read_question(one, spec, parameters).requirements for one in (model, other))
    problems = {one.id: (one.stated.problem, two.stated.problem) for one, two in zip(before, after, strict=True)}
    unknown = sorted(set(attacks) - set(problems))
    if unknown:
        raise CertifyError(f"{report}: {spec} has no requirement {', '.join(unknown)}")
    found: list[Tried] = []
    for id, point in attacks.items():
        first, second = (_breaks(problem, point) for problem in problems[id])
        found.append(Tried(id, "no attack" if not first else "no" if second else "yes"))
    return found


def _attacks(report: Path, digests: Mapping[str, str]) -> dict[str, tuple[Fraction, ...]]:
    try:
        plain = json.loads(report.read_text(encoding="utf-8"))
        hashes = plain["hashes"]
        found = {
            one["id"]: tuple(map(Fraction, one["attack"]["input_exact"]))
            for one in plain["requirements"]
            if one.get("attack")
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise CertifyError(f"{report} is no report.json of certify with attacks on networks") from None
    if hashes.get("spec") != digests["spec"] or digests["model"] not in hashes.values():
        raise CertifyError(f"{report} is about another model or specification than those given")
    if not found:
        raise CertifyError(f"{report} has no attack")
    return found


def _breaks(problem: Problem, point: tuple[Fraction, ...]) -> bool:
    """Whether all rows of a case fail at the point, which lies in its set."""
    if len(point) != problem.graph.input_size:
        raise CertifyError(f"the attack has {len(point)} numbers, and the network takes {problem.graph.input_size}")
    outputs = outputs_at(problem, point)
    return any(
        all(low <= x <= up for low, x, up in zip(case.box.lower, point, case.box.upper, strict=True))
        and (case.ball is None or case.ball.holds(point))
        and fails(case, point, outputs)
        for case in problem.cases
    )
