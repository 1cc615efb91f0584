"""The summary of a comparison: who solved what, how fast, and everything that cannot be true at once."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from statistics import fmean, median

from bench.compare.side import SIDES, Pair, Side
from bench.compare.statistics import geometric_mean_ratio, limits, solved_within
from bench.table import alarms, align

HEADER = (
    "benchmark", "instances", "a solved", "b solved", "both", "only a", "only b",
    "median s a", "b", "mean s a", "b", "a/b seconds", "95 % interval",
)  # fmt: skip
RUNS = ("command", "solved", "late", "killed", "error", "WRONG", "total s", "peak MB median", "max")


def summary(pairs: Sequence[Pair]) -> str:
    """Three tables and one line for everything that went wrong.

    The first counts instances and compares seconds over those both sides solved, with the geometric mean of the ratios
    and its bootstrap interval. The second is about all runs of each side. The third says how many each side
    solves within a time limit, as a cactus plot would.
    """
    names = sorted({pair.a.benchmark for pair in pairs})
    lines = [HEADER, *(_line(name, [pair for pair in pairs if pair.a.benchmark == name]) for name in names)]
    if len(names) != 1:
        lines.append(_line("total", pairs))
    parts = [align(lines), align([RUNS, *(_runs(side, pairs) for side in SIDES)]), _cactus(pairs), troubles(pairs)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def troubles(pairs: Sequence[Pair]) -> list[str]:
    """One line for every contradiction, then those of each run on its own."""
    return [
        *(f"CONTRADICTION: {_dispute(pair)}" for pair in pairs if pair.contradictory),
        *alarms([row for pair in pairs for row in (pair.a, pair.b)]),
    ]


def _dispute(pair: Pair) -> str:
    known = f"the known answer is {pair.a.expected}" if pair.a.expected != "unknown" else "no answer is known"
    about = f"{pair.a.benchmark} {pair.a.model} {pair.a.spec}"
    return f"{about}: a says {pair.a.verdict}, b says {pair.b.verdict}, {known}"


def _line(name: str, pairs: Sequence[Pair]) -> tuple[str, ...]:
    a, b = ([float(getattr(pair, side).seconds) for pair in pairs if pair.both] for side in SIDES)
    ratio = geometric_mean_ratio(a, b)
    return (
        name,
        str(len(pairs)),
        *(str(sum(pair.solved(side) for pair in pairs)) for side in SIDES),
        str(len(a)),
        *(str(sum(pair.solved(side) and not pair.both for pair in pairs)) for side in SIDES),
        *(f"{f(seconds):.3f}" if seconds else "-" for f in (median, fmean) for seconds in (a, b)),
        "-" if isnan(ratio.mean) else f"{ratio.mean:.3f}",
        "-" if isnan(ratio.low) else f"{ratio.low:.3f} to {ratio.high:.3f}",
    )


def _runs(side: str, pairs: Sequence[Pair]) -> tuple[str, ...]:
    rows: list[Side] = [getattr(pair, side) for pair in pairs]
    memory = [float(row.peak_memory_mb) for row in rows if row.peak_memory_mb]
    return (
        side,
        str(sum(pair.solved(side) for pair in pairs)),
        str(sum(row.late for row in rows)),
        *(str(sum(row.verdict == verdict for row in rows)) for verdict in ("killed", "error")),
        str(sum(row.wrong for row in rows)),
        f"{sum(float(row.seconds) for row in rows if row.seconds):.1f}",
        *(f"{f(memory):.0f}" if memory else "-" for f in (median, max)),
    )


def _cactus(pairs: Sequence[Pair]) -> list[str]:
    seconds = {side: [float(getattr(p, side).seconds) for p in pairs if p.solved(side)] for side in SIDES}
    steps = limits([*seconds["a"], *seconds["b"]])
    if not steps:
        return []
    header = ("solved within", *(f"{step:g} s" for step in steps))
    return align([header, *((side, *(str(solved_within(seconds[side], s)) for s in steps)) for side in SIDES)])
