"""Evidence: certificates and witnesses written, checked by the independent checker, and mended until it accepts."""

from __future__ import annotations

import gzip
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from specs.errors import CertificateError
from verifier.certificate.checking import CheckerProcess
from verifier.certificate.sources import Sources
from verifier.certificate.witness import WitnessDraft
from verifier.certificate.words import PHASES
from verifier.certificate.write import Chunk, Draft, entry, save
from verifier.engine.deadline import Deadline
from verifier.engine.explore import Budget
from verifier.engine.outcome import Proof, RelaxedAttack
from verifier.engine.phases.group import Group
from verifier.engine.phases.rows import OutOfTime
from verifier.engine.pieces import Stream, cut
from verifier.engine.scheduler import CaseSearch
from verifier.places import RELAXED_SUFFIX
from verifier.relaxed.contents import File, RelaxedFile
from verifier.relaxed.write import RelaxedDraft

ROUNDS = 30  # of mending
MENDING_NODES = 1 << 15  # below one refused leaf
PATIENCE = 2  # rounds after which a refused leaf is split rather than proved again with a larger margin


class Part(NamedTuple):
    """A part of a group's box, by its number."""

    group: Group
    number: int


Trees = Sequence[tuple[tuple[int, ...], Chunk | np.ndarray]]  # over phases, each with the cases that it proves
Owner = tuple[int, Stream] | Part  # of a chunk: a case and where its words came from, or what was searched by phases


@dataclass(frozen=True)
class Accepted:
    """A proof and the margin that the checker found in it, of the rows as they were asked about."""

    proof: Proof
    margin: float


@dataclass
class Evidence:
    """Where evidence goes and who checks it. ``path`` is the certificate's; a witness stands beside it."""

    checker: CheckerProcess
    sources: Sources
    claim: str
    producer: dict[str, str]
    path: Path
    problem_cases: int
    _numbers: list[int] = field(default_factory=list)
    _all_cases: int = 0

    def onnx(self) -> bytes:
        """The model as onnxruntime reads it."""
        data = self.sources.model.data
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data

    def refute(self, case: int, point: tuple[Fraction, ...], deadline: Deadline) -> tuple[str, Path | None]:
        """How the checker proved that every row of the case fails at the point, and the file; "" when it did not."""
        number = self._case_numbers(deadline)[case]
        path = self.path.with_suffix(".nnwitness")
        claim = f"NOT: {self.claim}"
        trial = path.with_stem(f"{path.stem}-trial")  # what was accepted before stays until this is
        save(WitnessDraft(self.sources.model, self.sources.query, number, point, claim, self.producer), trial)
        answer = self.checker.check(trial, deadline)
        if answer is not None and answer.get("accepted"):
            return str(answer["reason"]), trial.replace(path)
        trial.unlink()
        return "", None

    def prove(
        self, cases: list[CaseSearch], groups: list[Group], deadline: Deadline, trees: Trees = ()
    ) -> Accepted | None:
        """Write the certificate and have it checked; what is refused is searched again, more finely.

        ``groups`` hold the trees of the cases that were searched by phases, ``trees`` those of relaxations of the whole
        box, which are not mended.

        None when time runs out or a refused leaf cannot be closed; the file is there only if it was accepted.
        """
        numbers = self._case_numbers(deadline)
        for attempt in range(ROUNDS):
            draft, owners = self._draft(cases, groups, numbers, trees)
            size = save(draft, self.path)
            answer = self.checker.check(self.path, deadline)
            if answer is None:
                break
            if "error" in answer:
                self.path.unlink()
                raise CertificateError(str(answer["error"]))
            if answer["accepted"]:
                seconds, leaves = float(answer["seconds"]), int(answer["leaves"])
                margin = float(answer["margin"]) if answer["margin"] is not None else 0.0
                proof = Proof(self.path, size, leaves, seconds, self.sources.binding)
                return Accepted(proof, _divided(margin, self.sources.scale))
            if not _mend(cases, answer["failures"], owners, attempt, deadline):
                break
        self.path.unlink(missing_ok=True)
        return None

    def numbers(self, cases: Sequence[int]) -> list[int]:
        """The checker's numbers of some of our cases, once it has been asked for them."""
        return [self._numbers[k] for k in cases]

    def ready(self, deadline: Deadline) -> None:
        """Wait for the checker; raises ``CertificateError`` where it cannot read the files as we do."""
        self._case_numbers(deadline)

    def _case_numbers(self, deadline: Deadline) -> list[int]:
        """The checker's number of each of our cases: it keeps count of those whose box is empty, we drop them."""
        if not self._all_cases:
            self._numbers, self._all_cases = self.checker.cases(deadline)
            if len(self._numbers) != self.problem_cases:
                raise CertificateError(
                    f"the checker reads {len(self._numbers)} cases in the query, the search {self.problem_cases}"
                )
        return self._numbers

    def _draft(
        self, cases: list[CaseSearch], groups: list[Group], numbers: list[int], trees: Trees
    ) -> tuple[Draft, dict[int, Owner]]:
        """The certificate, and for every chunk whom it belongs to."""
        roots = [np.zeros(1, dtype=np.int64)] * self._all_cases  # an empty case needs no proof: a single leaf
        further: list[np.ndarray | Chunk] = []
        owners: dict[int, Owner] = {}
        for group in groups:
            chunks: dict[int, int] = {}
            for part in group.parts:
                chunks[part] = self._all_cases + len(further)
                further.append(group.searches[part].tree.words([numbers[k] for k in group.cases]))
                owners[chunks[part]] = Part(group, part)
            for k in group.cases:
                roots[numbers[k]] = group.words(chunks)
        for proved, chunk in trees:
            at = self._all_cases + len(further)
            for k in proved:
                roots[numbers[k]] = np.array([PHASES, at >> 16, at & 0xFFFF])
            further.append(chunk)
        elsewhere = {k for group in groups for k in group.cases} | {k for proved, _ in trees for k in proved}
        pairs = next((case.explorer.pairs for case in cases if case.explorer.pairs), ())
        for k, case in enumerate(cases):
            if k in elsewhere:
                continue
            first = self._all_cases + len(further)
            root, *chunks = cut(case.pieces.stream(), first)
            roots[numbers[k]] = root.words
            owners[numbers[k]] = k, root
            owners.update((first + i, (k, chunk)) for i, chunk in enumerate(chunks))
            further += [chunk.words for chunk in chunks]
        everything = [*roots, *further]
        about = self.sources.model, self.sources.query, self._all_cases
        draft = Draft(*about, everything, self.claim, self.producer, pairs)
        return draft, owners


def hand_over(relaxed: RelaxedAttack, bound_to: Sources, producer: dict[str, str], certificate: Path) -> RelaxedAttack:
    """The relaxed attack with its action in a file beside the certificate's place."""
    action = relaxed.action
    if action is None:
        return relaxed
    path = certificate.with_suffix(RELAXED_SUFFIX)
    attack = RelaxedFile(
        action.relaxation,
        relaxed.case,
        action.lower,
        action.upper,
        action.rows,
        action.score,
        action.content,
        File(**entry(bound_to.model)),
        File(**entry(bound_to.query)),
        action.splits,
        action.weights,
        action.tolerance,
        action.note,
        producer,
    )
    save(RelaxedDraft(attack), path)
    return replace(relaxed, path=path)


def _divided(margin: float, scale: int) -> float:
    """Rounded down."""
    if scale == 1 or not 0 < margin < math.inf:
        return margin
    return math.nextafter(float(Fraction(margin) / scale), 0.0)


def _mend(
    cases: list[CaseSearch],
    failures: list[dict[str, Any]],
    owners: dict[int, Owner],
    attempt: int,
    deadline: Deadline,
) -> bool:
    """Search below every refused leaf in float64, with a larger margin each time; False when one stays open.

    A tree over phases with a refused leaf is searched again as a whole, more cautiously.
    """
    refused: dict[int, list[tuple[int, int, dict[str, Any]]]] = {}
    trees: dict[int, Part] = {}
    for failure in failures:
        if failure["chunk"] not in owners:
            return False
        owner = owners[failure["chunk"]]
        if isinstance(owner, Part):
            trees[failure["chunk"]] = owner
            continue
        k, stream = owner
        at = failure["position"]
        refused.setdefault(k, []).append((int(stream.piece[at]), int(stream.position[at]), failure))
    for k, leaves in refused.items():
        case = cases[k]
        explorer = replace(case.explorer, precision="float64", margin=10.0 ** min(attempt - 9, -5))
        # Later positions first: opening a place leaves the indices of earlier ones alone.
        leaves.sort(key=lambda leaf: leaf[:2], reverse=True)
        for piece, position, failure in leaves:
            lower, upper = np.array(failure["lower"]), np.array(failure["upper"])
            budget = Budget(deadline, MENDING_NODES)
            seen = explorer.explore(lower[None], upper[None], budget, -np.inf, split_first=attempt >= PATIENCE)
            if len(seen.open_lower):
                return False
            case.pieces.add(seen.pieces[0], case.pieces.reopen(piece, position))
            case.nodes += seen.nodes
    return all(_again(group, part, attempt, deadline) for group, part in trees.values())


def _again(group: Group, part: int, attempt: int, deadline: Deadline) -> bool:
    """The tree over phases is found again, with wider intermediate bounds and a larger margin."""
    try:
        group.searches[part] = group.searches[part].again(10.0 ** (attempt + 1), lambda: deadline.over)
    except OutOfTime:
        return False
    return group.searches[part].closed
