"""From a state that violates a requirement to an input that does: rounding a latent attack.

What an adversary inside the network finds need not be the state of any input. Projected gradient descent (A. Madry and
others 2018) from many starts first brings what the layer holds near that state, and then goes on towards a violation of
the requirement with nothing written into the network. What it finds is replayed and proved as every violation is. What
it does not find says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relaxations.bounds.balls import Ball
from relaxations.lowering import lower
from relaxations.network import ReluNetwork
from specs.errors import CertifyError
from specs.language.unwritten import STATE
from verifier.attack.pgd import LAST_STEP, Descents, descend, gradient
from verifier.attack.targets import Targets
from verifier.attack.witness import inside
from verifier.engine.deadline import Deadline
from verifier.engine.floats import float_rows
from verifier.engine.outcome import Attack
from verifier.latent.points import Inputs, columns, named, places_of, point_of
from verifier.question import Question, Requirement
from verifier.solving.witness import witness_at

if TYPE_CHECKING:
    from verifier.answer import Settings

AT_ONCE = 64
FIRST_STEP, NEAR = 0.25, 0.05  # of the width of the box: towards the state, and from there towards a violation
SHOWN = 10
CANDIDATES = 5  # that are replayed and proved
SECONDS = 10.0  # for the checks of each


@dataclass(frozen=True)
class Rounded:
    """``attack`` is the violation by an input ``inputs``; None if none was found, or looked for: then ``why`` not.

    ``nearest`` is the input whose state is the nearest to the attack's that was seen, at the Euclidean ``distance``;
    ``value`` is the least seen of the best row, above 0 where the requirement holds. ``boxed`` tells whether inputs
    were looked for elsewhere than in the specification's own set.
    """

    attack: Attack | None = None
    inputs: Inputs | None = None
    nearest: tuple[Fraction, ...] = ()
    distance: float = math.inf
    value: float = math.inf
    boxed: bool = False
    why: str = ""

    @property
    def point(self) -> tuple[Fraction, ...]:
        """The input found, else the nearest one."""
        return self.attack.point if self.attack is not None else self.nearest

    @property
    def words(self) -> str:
        """For the sentence."""
        if self.why:
            return f"NO INPUT WAS LOOKED FOR THAT DOES THE SAME: {self.why}."
        where = "in the box that `round` gives" if self.boxed else "among the inputs of the specification"
        if self.attack is not None:
            file = f" ({self.attack.path.name})" if self.attack.path else ""
            return (
                f"REALISED BY AN INPUT{file}: {where} there is one at which the requirement fails with nothing written "
                f"into the network ({self.attack.proved})."
            )
        near = f"; the nearest state seen is {self.distance:.4g} away" if math.isfinite(self.distance) else ""
        return (
            f"NOT REALISED BY ANY INPUT TRIED {where}{near}: with nothing written into the network none violates the "
            "requirement; this says nothing about other inputs."
        )

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Names and values for a report: whether it is realised, and by what."""
        if self.attack is None:
            near = f"; the nearest state seen is {self.distance:.4g} away" if math.isfinite(self.distance) else ""
            return [("realised", f"by no input tried{near}" if not self.why else f"not looked for: {self.why}")]
        assert self.inputs is not None
        raw = [f"{self.inputs.element(i)} = {float(v)!r}" for i, v in enumerate(self.inputs.to_raw(self.point)[:SHOWN])]
        return [("realised", f"{', '.join(raw)}{', ...' if self.inputs.size > SHOWN else ''}")]

    def to_json(self) -> dict[str, Any]:
        raw = None
        if self.inputs is not None and self.point:
            raw = {self.inputs.element(i): float(v) for i, v in enumerate(self.inputs.to_raw(self.point))}
        return {
            "realised": self.attack is not None,
            "file": str(self.attack.path) if self.attack is not None and self.attack.path else None,
            "input_raw": raw,
            "distance": self.distance,
            "value": self.value,
            "why": self.why or None,
        }


def rounded(
    question: Question,
    requirement: Requirement,
    attack: Attack,
    settings: Settings,
    producer: Callable[[Question, Requirement], Mapping[str, str]],
    values: Mapping[str, str],
) -> Rounded:
    """What comes of looking for an input that violates the requirement as the latent ``attack`` does.

    ``values`` are those of what is solved for at which the attack is one.
    """
    rounding = question.rounding
    assert rounding is not None
    assert question.unwritten is not None
    deadline = Deadline(settings.deadline)
    if deadline.over:
        return Rounded(why="no time was left")
    try:
        clean = question.unwritten()
        known = {one.id: one for one in clean.requirements}
        plain, states = known[requirement.id], known.get(STATE)
        if values:
            assert clean.posed_at is not None
            plain = clean.posed_at(requirement.id, values)
        if _replaced(requirement) & set(places_of(_inputs(plain))):
            return Rounded(why="the requirement speaks of what is written in place of the layer")
        search = _Search(plain, states, attack, requirement, rounding.steps, deadline, settings.seed)
        search.run(rounding.restarts)
    except CertifyError as error:
        return Rounded(why=str(error))
    found = None
    folder = settings.place(requirement.id) if settings.place is not None else None
    for point in search.candidates():
        left = min(SECONDS, deadline.remaining)
        if left <= 0:
            break
        found = _evidence(clean, plain, point, folder, producer(clean, plain), settings, left)
        if found is not None:
            break
    nearest = tuple(inside(plain.stated.problem.cases[search.nearest_case], search.nearest))
    return Rounded(found, _inputs(plain), nearest, search.distance, search.value, rounding.box is not None)


def _evidence(
    clean: Question,
    plain: Requirement,
    point: tuple[Fraction, ...],
    home: Path | None,
    producer: Mapping[str, str],
    settings: Settings,
    seconds: float,
) -> Attack | None:
    """The violation at a point, its file beside that of the latent attack, where files are kept."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="certify-") as folder:
        name = home.stem if home is not None else "attack"
        place = (home.parent if home is not None else Path(folder)) / f"{name}.realised.nncert"
        found = witness_at(clean, plain, point, place, producer, settings.start_checker, seconds)
        return replace(found, path=None) if found is not None and home is None else found


def _inputs(requirement: Requirement) -> Inputs:
    assert requirement.inputs is not None
    return requirement.inputs


def _sets(inputs: Inputs) -> tuple[Any, ...]:
    return getattr(inputs, "sets", (inputs,))


def _replaced(requirement: Requirement) -> set[str]:
    """The inputs that stand in place of a layer."""
    return {one.name for one in _sets(_inputs(requirement)) if one.role.startswith("in place of")}


class _Search:
    """Descents on the requirement without the adversary; keeps the best value of each case and the nearest state."""

    def __init__(
        self,
        plain: Requirement,
        states: Requirement | None,
        attack: Attack,
        latent: Requirement,
        steps: int,
        deadline: Deadline,
        seed: int,
    ) -> None:
        problem = plain.stated.problem
        self.cases, self.deadline, self.steps = problem.cases, deadline, steps
        self.network = lower(problem.graph)
        sides = [[np.array([float(v) for v in side]) for side in (c.box.lower, c.box.upper)] for c in self.cases]
        rows = [float_rows(c, self.network.input_size, problem.graph.output_size) for c in self.cases]
        lows, ups = zip(*sides, strict=True)
        self.targets = Targets.of(rows, lows, ups, [Ball.of(case) for case in self.cases])
        self.random = np.random.default_rng(seed)
        self.values = np.full(len(self.cases), np.inf)
        self.points: dict[int, np.ndarray] = {}
        self.distance, self.nearest, self.nearest_case = math.inf, self.targets.middle[self.targets.box[0]], 0
        given = named(_inputs(latent), attack.point)
        self.start = point_of(
            _inputs(plain), {**{name: [0] * len(v) for name, v in given.items()}, **_plain(latent, given)}
        )
        self.state_network: ReluNetwork | None = None
        if states is not None:
            self.columns = columns(_inputs(states), _inputs(plain))
            if self.columns is not None:
                self.state_network = lower(states.stated.problem.graph)
                self.state = self._state(states, latent, attack, given)

    def _state(
        self, states: Requirement, latent: Requirement, attack: Attack, given: Mapping[str, list[Fraction]]
    ) -> np.ndarray:
        """What the layer holds in the attack: what is written, or that and what it holds by itself."""
        sets = _sets(_inputs(latent))
        raw, start, written = _inputs(latent).to_raw(attack.point), 0, None
        for one in sets:
            if one.role and written is None:
                written = one, np.array([float(v) for v in raw[start : start + one.size]])
            start += one.size
        assert written is not None
        if written[0].role.startswith("in place of"):
            return written[1]
        at = point_of(
            _inputs(states), {**{name: [Fraction(0)] * len(v) for name, v in given.items()}, **_plain(latent, given)}
        )
        if at is None:
            raise CertifyError("the layer depends on inputs that the attack says nothing of")
        clean = states.stated.problem.graph.evaluate_flat([float(v) for v in at])
        return np.asarray(clean + written[1])

    def run(self, restarts: int) -> None:
        """All descents, as many as the time allows."""
        fixed = bool((self.targets.lower == self.targets.upper).all())
        left = len(self.targets.lower) if fixed else restarts
        done = 0
        while left > 0 and not self.deadline.over:
            count = min(AT_ONCE, left)
            cases = np.arange(done, done + count) % len(self.cases)
            if fixed:  # points are looked at, each once
                cases = np.array([list(self.targets.box).index(b) for b in range(done, done + count)])
                self._see(self.targets.lower[self.targets.box[cases]], cases)
                self._near(self.targets.lower[self.targets.box[cases]], cases)
            else:
                self._descend(cases, first=done == 0)
            left, done = left - count, done + count

    def _descend(self, cases: np.ndarray, first: bool) -> None:
        box = self.targets.box[cases]
        low, up = self.targets.lower[box], self.targets.upper[box]
        points = low + self.random.random(low.shape) * (up - low)
        if first and self.start is not None:
            points[0] = [float(v) for v in self.start]
        points = self.targets.moved_inside(points, box)
        half = max(self.steps // 2, 1)
        if self.state_network is not None:
            points = self._towards_state(points, cases, half)
        kind = np.arange(len(cases)) % 4
        starts = Descents(points, cases, np.take((0.0, 0.3, 0.0, 0.1), kind), kind != 2, NEAR)
        descend(
            self.network,
            self.targets,
            starts,
            half,
            lambda at, of, values: self._kept(at, values) or self.deadline.over,
        )
        self._near(points, cases)

    def _towards_state(self, points: np.ndarray, cases: np.ndarray, steps: int) -> np.ndarray:
        """Descent on the squared distance of what the layer holds from the state."""
        assert self.state_network is not None
        box = self.targets.box[cases]
        low, up = self.targets.lower[box], self.targets.upper[box]
        width = up - low
        for share in np.linspace(0, 1, steps):
            if self.deadline.over:
                break
            seen, held = self.state_network.preactivations(points[:, self.columns])
            away = held - self.state
            self._note(points, cases, away)
            each = np.arange(len(points))
            aims = replace(self.targets, x=None, y=away, constant=np.zeros(len(points)))
            temperature = np.where(each % 2, 0.3 * (1 - share), 0.0)
            slope = np.zeros_like(points)
            slope[:, self.columns] = gradient(self.state_network, aims, seen, each, temperature)
            slope *= width
            norm = np.abs(slope).max(axis=1, keepdims=True)
            direction = np.where(each[:, None] % 3 > 0, slope / np.where(norm > 0, norm, 1), np.sign(slope))
            step = FIRST_STEP * (LAST_STEP / FIRST_STEP) ** share
            points = self.targets.moved_inside(points - step * width * direction, box)
        self._see(points, cases)
        return points

    def _near(self, points: np.ndarray, cases: np.ndarray) -> None:
        if self.state_network is not None:
            self._note(points, cases, self.state_network.evaluate(points[:, self.columns]) - self.state)

    def _note(self, points: np.ndarray, cases: np.ndarray, away: np.ndarray) -> None:
        lengths = np.linalg.norm(away, axis=1)
        k = int(lengths.argmin())
        if lengths[k] < self.distance:
            self.distance, self.nearest, self.nearest_case = float(lengths[k]), points[k].copy(), int(cases[k])

    def _see(self, points: np.ndarray, cases: np.ndarray) -> None:
        rows = self.targets.rows(points, self.network.evaluate(points))
        values = self.targets.values(rows)
        elsewhere = self.targets.box[cases][:, None] != self.targets.box
        self._kept(points, np.where(elsewhere, np.inf, values))

    def _kept(self, points: np.ndarray, values: np.ndarray) -> bool:
        at = values.argmin(axis=0)
        for k, least in enumerate(values[at, np.arange(values.shape[1])].tolist()):
            if least < self.values[k]:
                self.values[k], self.points[k] = least, points[at[k]].copy()
        return False

    @property
    def value(self) -> float:
        return float(self.values.min(initial=math.inf))

    def candidates(self) -> list[tuple[Fraction, ...]]:
        """Points that violate the requirement as floats say, those that do so most first, in their cases' boxes."""
        order = [k for k in np.argsort(self.values).tolist() if self.values[k] <= 0 and k in self.points]
        return [tuple(inside(self.cases[k], self.points[k])) for k in order[:CANDIDATES]]


def _plain(latent: Requirement, given: Mapping[str, list[Fraction]]) -> dict[str, list[Fraction]]:
    """What is consumed of the inputs that are written nowhere."""
    return {one.name: given[one.name] for one in _sets(_inputs(latent)) if not one.role}
