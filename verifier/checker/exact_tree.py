"""The same proof in rational arithmetic: every leaf and every clip of every tree, with nothing rounded but outward.

The boxes are those the tree describes in exact arithmetic: halves at exact midpoints, clips by exact bounds. Numbers
are kept short by rounding box bounds outward to 60 significant bits, which only enlarges boxes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from verifier.checker.check import MAX_DEPTH, Checker, Verdict
from verifier.checker.clip import PASSES
from verifier.checker.container import Certificate
from verifier.checker.errors import CheckError
from verifier.checker.exact import ExactRelaxation
from verifier.checker.exact_lines import round_down
from verifier.checker.exact_phases import refused_exactly
from verifier.checker.pairs import Paired, side_by_side
from verifier.checker.phase_tree import read_phase_tree
from verifier.checker.tree import CLIPS, LEAVES, PHASES, QUICK, REF, SPLIT, Failure, second_children
from verifier.checker.vnnlib import QueryCase

Box = tuple[list[Fraction], list[Fraction]]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def audit(checker: Checker, certificate: Certificate) -> Verdict:
    """Accepts only what it proves itself; independent of the float bounds, clips and boxes."""
    if certificate.cases != len(checker.cases):
        return Verdict(False, f"{certificate.cases} cases claimed, the query has {len(checker.cases)}", (), 0, 0.0)
    streams = [stream.tolist() for stream in certificate.chunks]
    plain = Paired(checker.bounder.network, frozenset())
    paired = side_by_side(checker.bounder.network, certificate.pairs)
    leaves, margin = 0, math.inf
    failures: list[tuple[int, int, Failure]] = []
    known: dict[tuple[int, str], list[int]] = {}  # what phase trees were refused on which box
    for k, case in enumerate(checker.cases):
        if case.empty:
            continue
        inputs = checker.bounder.network.sizes[0]
        seconds: dict[int, Ints] = {}
        stack = [(k, 0, 0, (list(case.lower), list(case.upper)))]
        while stack:
            chunk, at, depth, box = stack.pop()
            word = streams[chunk][at]
            if chunk not in seconds:
                seconds[chunk] = second_children(certificate.chunks[chunk], inputs)
            if word >= SPLIT:
                low, up = halves(box, word - SPLIT)
                stack += [(chunk, int(seconds[chunk][at]), depth, up), (chunk, at + 1, depth, low)]
                continue
            if word in (REF, PHASES):
                target = streams[chunk][at + 1] << 16 | streams[chunk][at + 2]
                if not certificate.cases <= target < len(streams) or depth >= MAX_DEPTH:
                    raise CheckError(f"reference to chunk {target}, which is not a sub-tree")
                if word == REF:
                    stack.append((target, 0, depth + 1, box))
                    continue
                new, refused = _phases(checker, certificate, k, target, box, known)
                leaves, margin = leaves + new, min(margin, 0.0)
                failures += [(k, target, Failure(position, *_floats(box))) for position in refused]
                continue
            value, clipped = _bound(plain if word in QUICK else paired, case, box)
            proved = value is not None or clipped is None
            if word in LEAVES:
                leaves += 1
                margin = min(margin, float(value)) if value is not None else margin
                if not proved:
                    failures.append((k, chunk, Failure(at, *_floats(box))))
            elif word in CLIPS and not proved and clipped is not None:
                stack.append((chunk, at + 1, depth, clipped))
    reason = f"{len(failures)} leaves not proved exactly" if failures else "every leaf proved"
    return Verdict(not failures, reason, tuple(failures), leaves, margin)


def _phases(
    checker: Checker,
    certificate: Certificate,
    case: int,
    chunk: int,
    box: Box,
    known: dict[tuple[int, str], list[int]],
) -> tuple[int, list[int]]:
    """Leaves of a phase tree that are new here, and what it does not prove; it is walked once for all its cases."""
    network = checker.bounder.network
    rows = [len(each.rows) for each in checker.cases]
    tree = read_phase_tree(certificate.chunks[chunk], network.sizes[0], network.widths, rows, network.signs)
    if case not in tree.cases:
        raise CheckError(f"chunk {chunk} does not speak of every case that refers to it")
    key = chunk, repr(box)
    if key in known:
        return 0, known[key]
    cases = [checker.cases[each] for each in tree.cases]
    ball = cases[0].ball if all(each.ball == cases[0].ball for each in cases) else None
    known[key] = refused_exactly(network, [each.rows for each in cases], tree, *box, ball)
    return tree.leaves(0, tree.ends), known[key]


def _floats(box: Box) -> tuple[Floats, Floats]:
    """The box for a message, rounded to nearest."""
    return np.array([float(v) for v in box[0]]), np.array([float(v) for v in box[1]])


def halves(box: Box, dim: int) -> tuple[Box, Box]:
    """The box cut at the midpoint of input ``dim``."""
    lower, upper = box
    middle = (lower[dim] + upper[dim]) / 2
    first_upper, second_lower = list(upper), list(lower)
    first_upper[dim] = second_lower[dim] = middle
    return (lower, first_upper), (second_lower, upper)


def _bound(paired: Paired, case: QueryCase, box: Box) -> tuple[Fraction | None, Box | None]:
    """The best proved row value when some row holds on the box, and the clipped box (None when nothing is left)."""
    lower, upper = box
    if case.ball is not None and not case.ball.meets(lower, upper):
        return None, None
    relaxation = ExactRelaxation(paired.network, lower, upper, ball=case.ball, seconds=paired.seconds)
    best: Fraction | None = None
    for row, value in zip(case.rows, relaxation.bounds(case.rows), strict=True):
        if (value > 0 or (value == 0 and not row.strict)) and (best is None or value > best):
            best = value
    return best, _clip(relaxation.forms(case.rows), box)


def _clip(forms: Sequence[tuple[list[Fraction], Fraction]], box: Box) -> Box | None:
    """Lemma C1 of ``clip`` in exact arithmetic, results rounded outward."""
    mid = [(low + up) / 2 for low, up in zip(*box, strict=True)]
    lower, upper = list(box[0]), list(box[1])
    for _ in range(PASSES):
        for form, constant in forms:
            least = [min(a * (low - m), a * (up - m)) for a, m, low, up in zip(form, mid, lower, upper, strict=True)]
            total = sum(least, Fraction(0))
            for i, a in enumerate(form):
                if a == 0:
                    continue
                limit = mid[i] + (-constant - (total - least[i])) / a
                if a > 0:
                    upper[i] = min(upper[i], -round_down(-limit))
                else:
                    lower[i] = max(lower[i], round_down(limit))
            if any(low > up for low, up in zip(lower, upper, strict=True)):
                return None
    return lower, upper
