"""An overseer against examples whose truth is known: how often it objects to failures, and what it never looks at."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import log, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from specs.errors import CertifyError
from specs.graph import Graph
from specs.joint import JointSet
from specs.language.inputs.dataset import read_examples
from specs.language.networks import Module
from specs.language.spec import Spec
from specs.language.text.suggest import did_you_mean
from specs.property import Requirement
from specs.sets import InputSet
from verifier.auditing.graphs import Size, depends, size_of
from verifier.statistics.clopper_pearson import Interval, interval

Numbers = tuple[Fraction, ...]


@dataclass(frozen=True)
class Rate:
    """``count`` of ``of``, and bounds of the rate behind it."""

    count: int
    of: int
    bounds: Interval

    @staticmethod
    def measured(count: int, of: int, level: Fraction) -> Rate | None:
        """None where there is nothing to count in."""
        return Rate(count, of, interval(count, of, level)) if of else None

    def to_json(self) -> dict[str, Any]:
        return {"count": self.count, "of": self.of, "interval": [float(self.bounds.lower), float(self.bounds.upper)]}


@dataclass(frozen=True)
class Feature:
    """What becomes of verdicts where element ``name`` is exchanged in what the overseer sees, and in nothing else.

    ``is_unread``: it is proved from the weights that no verdict depends on it, given what the models answer.
    ``apart`` is a lower bound of the Kolmogorov distance between its values at failures that are missed and at examples
    that are rightly passed.
    """

    name: str
    changed: Rate | None
    is_unread: bool
    apart: float

    @property
    def is_missed(self) -> bool:
        """Failures that are missed differ in it from what is rightly passed, and no verdict changed with it."""
        return self.apart > 0 and (self.is_unread or (self.changed is not None and self.changed.count == 0))


@dataclass(frozen=True)
class Examined:
    """A network: what it has and what it takes; ``wrong`` is its rate of errors on labels, if it answers with these."""

    name: str
    kind: str
    size: Size
    wrong: Rate | None


@dataclass(frozen=True)
class Audit:
    """Everything that was found. Every interval has the confidence by itself."""

    requirement: str
    text: str
    data: Path
    sha256: str
    confidence: Fraction
    networks: tuple[Examined, ...]
    recall: Rate
    alarms: Rate | None
    agrees: Rate
    features: tuple[Feature, ...]
    required: Fraction | None = None

    @property
    def blind_to(self) -> tuple[str, ...]:
        """Names of elements that explain misses, those that set them apart most first."""
        return tuple(one.name for one in sorted(self.features, key=lambda one: -one.apart) if one.is_missed)

    @property
    def is_short(self) -> bool:
        """Whether the recall that is required is excluded."""
        return self.required is not None and self.recall.bounds.upper < self.required


@dataclass(frozen=True)
class _Subject:
    """A requirement that an overseer decides, and its one input."""

    requirement: Requirement
    inputs: InputSet
    graph: Graph
    cut: frozenset[str]

    def verdict(self, raw: Numbers) -> bool:
        """Whether the overseer objects at a point."""
        x = self.inputs.to_model(raw)
        return self.requirement.is_violated_at(x, self.graph.evaluate_flat([float(v) for v in x]).tolist())

    def verdict_seeing(self, raw: Numbers, seen: Numbers) -> bool:
        """Whether it objects where it is shown ``seen``, with what the models do at ``raw``."""
        x, shown = self.inputs.to_model(raw), self.inputs.to_model(seen)
        y = _evaluated(self.graph, x, shown, self.cut)
        return self.requirement.is_violated_at(shown, y)


def audit(
    spec: Spec,
    data: Path,
    wanted: str = "",
    confidence: Fraction = Fraction(99, 100),
    required: Fraction | None = None,
    swaps: int = 200,
    seed: int = 0,
    progress: Callable[[str], None] = lambda told: None,
) -> Audit:
    """Audit the overseers in a requirement on the examples of an .npz file.

    The file has inputs in raw units and ``failures``, one truth value for each: whether what the model does there is a
    failure; ``labels``, if there are any, are right answers. Raises ``CertifyError``.
    """
    subject = _subject(spec, wanted)
    examples, failures, labels, digest = _read(data, subject.inputs)
    level = 1 - confidence
    progress("verdicts")
    objects = np.array([subject.verdict(raw) for raw in examples])
    count, caught = int(failures.sum()), int((objects & failures).sum())
    recall = Rate.measured(caught, count, level)
    agrees = Rate.measured(int((objects == failures).sum()), len(examples), level)
    if recall is None or agrees is None:
        raise CertifyError(f"{data} holds no failure: nothing can be recalled")
    alarms = Rate.measured(int((objects & ~failures).sum()), len(examples) - count, level)
    progress("features")
    features = _features(subject, examples, objects, failures, level, swaps, seed)
    networks = tuple(_examined(module, subject.inputs, examples, labels, level) for module in spec.modules)
    one = subject.requirement
    return Audit(one.id, one.text, data, digest, confidence, networks, recall, alarms, agrees, features, required)


def _subject(spec: Spec, wanted: str) -> _Subject:
    ids = [one.id for one in spec.requirements]
    if wanted and wanted not in ids:
        raise CertifyError(f"{spec.file} has no requirement {wanted!r}{did_you_mean(wanted, ids)}")
    judges = [module.name for module in spec.modules if module.kind == "overseer"]
    if not spec.composed or not judges:
        raise CertifyError(f"{spec.file} has no overseer that is a network or is traced, so that none can be audited")
    for one in spec.requirements:
        graph = one.problem.graph
        if wanted in ("", one.id) and any(_owner(node.name) in judges for node in graph.nodes):
            inputs = one.inputs.sets[0] if isinstance(one.inputs, JointSet) else one.inputs
            several = isinstance(one.inputs, JointSet) and len(one.inputs.sets) > 1
            if inputs is None or several or inputs.size != graph.input_size:
                raise CertifyError(f"{one.id} is about several inputs, or equal ones; an audit is about one")
            return _Subject(one, inputs, graph, _answers(spec.modules, graph))
    raise CertifyError(f"{wanted or spec.file} asks no overseer")


def _owner(node: str) -> str:
    """The module that a node of a composed graph was called for."""
    return node.partition(".")[0]


def _answers(modules: Sequence[Module], graph: Graph) -> frozenset[str]:
    """The nodes of a composed graph that are answers or named layers of models."""
    named = {
        f"{module.name}.{node}"
        for module in modules
        if module.kind != "overseer"
        for node in (*module.graph.outputs, *module.taps.values())
    }
    return frozenset(node.name for node in graph.nodes if re.sub(r"#[0-9]+$", "", node.name) in named)


def _evaluated(graph: Graph, x: Numbers, shown: Numbers, cut: Collection[str]) -> list[float]:
    """Outputs at ``shown``, with the nodes ``cut`` as they are at ``x``."""
    held: dict[str, np.ndarray] = {}
    for point, keep in ((x, frozenset()), (shown, cut)):
        values: dict[str, np.ndarray] = {}
        start = 0
        for name in graph.inputs:
            shape = graph.by_name[name].shape
            size = int(np.prod(shape))
            values[name] = np.array([float(v) for v in point[start : start + size]]).reshape(shape)
            start += size
        for node in graph.nodes:
            if node.name in keep:
                values[node.name] = held[node.name]
            elif node.name not in values:
                values[node.name] = node.op.evaluate(*(values[name] for name in node.inputs))
        held = values
    return [float(v) for name in graph.outputs for v in np.asarray(held[name], dtype=np.float64).reshape(-1)]


def _features(
    subject: _Subject,
    examples: Sequence[Numbers],
    objects: np.ndarray,
    failures: np.ndarray,
    level: Fraction,
    swaps: int,
    seed: int,
) -> tuple[Feature, ...]:
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, len(examples), (swaps, 2))
    table = np.array([[float(v) for v in row] for row in examples])
    missed, passed = table[failures & ~objects], table[~failures & ~objects]
    found = []
    for k in range(subject.inputs.size):
        changes = []
        for i, j in pairs:
            seen = (*examples[i][:k], examples[j][k], *examples[i][k + 1 :])
            if subject.inputs.contains(subject.inputs.to_model(seen)):
                changes.append(subject.verdict_seeing(examples[i], seen) != bool(objects[i]))
        rate = Rate.measured(sum(changes), len(changes), level)
        unread = not depends(subject.graph, k, subject.cut) and not _is_read_itself(subject, k)
        apart = _apart(missed[:, k], passed[:, k], float(level) / subject.inputs.size)
        found.append(Feature(subject.inputs.element(k), rate, unread, apart))
    return tuple(found)


def _is_read_itself(subject: _Subject, place: int) -> bool:
    """Whether a condition is about the element of the input, beside what networks make of it.

    One about this element alone may be in the box of a case, which then is another than that of the input.
    """
    cases, inputs = subject.requirement.problem.cases, subject.inputs
    mean, scale = inputs.mean[place], inputs.scale[place]
    own = tuple(None if end is None else (end - mean) / scale for end in (inputs.lower[place], inputs.upper[place]))
    return any(
        (case.box.lower[place], case.box.upper[place]) != own
        or any(i == place for row in case.any_of for i, _ in row.x)
        for case in cases
    )


def _apart(one: np.ndarray, two: np.ndarray, level: float) -> float:
    """A lower bound of the Kolmogorov distance of two laws, at ``level``: Dvoretzky, Kiefer and Wolfowitz for each.

    ``P(sup |F_n - F| > e) <= 2 exp(-2 n e^2)`` with Massart's constant (*Annals of Probability* 1990).
    """
    if not len(one) or not len(two):
        return 0.0
    at = np.concatenate([one, two])
    shares = [np.searchsorted(np.sort(own), at, side="right") / len(own) for own in (one, two)]
    distance = float(np.abs(shares[0] - shares[1]).max())
    error = sum(sqrt(log(4 / level) / (2 * len(own))) for own in (one, two))
    return max(0.0, distance - error)


def _examined(
    module: Module, inputs: InputSet, examples: Sequence[Numbers], labels: np.ndarray | None, level: Fraction
) -> Examined:
    """A network by itself; it answers with labels where it sees the input alone, and has an output for each label."""
    graph = module.graph
    wrong = None
    fits = len(graph.inputs) == 1 and graph.input_size == inputs.size and graph.output_size > 1
    if labels is not None and fits and labels.max() < graph.output_size:
        count = 0
        for raw, label in zip(examples, labels):
            answers = graph.evaluate_flat([float(v) for v in inputs.to_model(raw)])
            count += bool(answers.argmax() != label or (answers == answers.max()).sum() > 1)
        wrong = Rate.measured(count, len(examples), level)
    return Examined(module.name, module.kind, size_of(graph), wrong)


def _read(data: Path, inputs: InputSet) -> tuple[list[Numbers], np.ndarray, np.ndarray | None, str]:
    try:
        found = read_examples(data)
        with np.load(data, allow_pickle=False) as arrays:
            failures = arrays["failures"] if "failures" in arrays.files else None
            labels = arrays["labels"] if "labels" in arrays.files else None
    except (ValueError, OSError, EOFError) as error:
        raise CertifyError(str(error)) from None
    count = len(found.inputs)
    if failures is None:
        raise CertifyError(f"{data} has no array failures, which says for each example whether it is one")
    if failures.shape != (count,) or failures.dtype.kind not in "biu" or not np.isin(failures, (0, 1)).all():
        raise CertifyError(f"{data}: failures has to hold true or false for each of the {count} examples")
    if labels is not None and (labels.shape != (count,) or labels.dtype.kind not in "iu" or labels.min() < 0):
        raise CertifyError(f"{data}: labels has to hold one whole number from 0 for each of the {count} examples")
    if found.inputs.shape[1] != inputs.size:
        raise CertifyError(f"{data} has examples of {found.inputs.shape[1]} values, not of {inputs.size}")
    examples = [tuple(map(Fraction, row.tolist())) for row in found.inputs]
    outside = [i for i, raw in enumerate(examples) if not inputs.contains(inputs.to_model(raw))]
    if outside:
        raise CertifyError(f"{data}: example {outside[0]} (and {len(outside) - 1} more) is outside {inputs.describe()}")
    return examples, failures.astype(bool), labels, found.sha256
