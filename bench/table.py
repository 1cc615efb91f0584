"""The summary of a results file: one line per benchmark, and everything that went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from bench.results import VERDICTS, Row

HEADER = (
    "benchmark", "instances", "correct", *VERDICTS, "WRONG", "median s", "mean s", "max s", "certificates accepted",
)  # fmt: skip


def summary(rows: Sequence[Row]) -> str:
    """A table over all rows, one line per benchmark and a total, followed by the wrong and the contradictory runs.

    ``correct`` counts decisions equal to a known answer; seconds are whole-process wall times over all runs,
    solved or not; certificates accepted are counted among the certified.
    """
    names = sorted({row.benchmark for row in rows})
    lines = [HEADER, *(_line(name, [row for row in rows if row.benchmark == name]) for name in names)]
    if len(names) != 1:
        lines.append(_line("total", rows))
    return "\n".join([*align(lines), *alarms(rows)])


def alarms(rows: Sequence[Row]) -> list[str]:
    """One line for every wrong verdict, every self-contradiction and every certified run without accepted proof."""
    return [
        *(f"WRONG: {r.title}: {r.verdict}, but the known answer is {r.expected}" for r in rows if r.wrong),
        *(f"CONTRADICTED ITSELF: {r.title}: {r.reason}" for r in rows if r.contradicted_itself),
        *(f"NOT PROVED: {r.title}: certified, certificate not accepted" for r in rows if r.unproved),
    ]


def _line(name: str, rows: Sequence[Row]) -> tuple[str, ...]:
    seconds = [float(row.seconds) for row in rows if row.seconds]
    times = [f"{f(seconds):.2f}" if seconds else "-" for f in (median, fmean, max)]
    certified = [row for row in rows if row.verdict == "certified"]
    accepted = sum(row.certificate_checked == "yes" for row in certified)
    return (
        name,
        str(len(rows)),
        str(sum(row.agrees == "yes" for row in rows)),
        *(str(sum(row.verdict == verdict for row in rows)) for verdict in VERDICTS),
        str(sum(row.wrong for row in rows)),
        *times,
        f"{accepted}/{len(certified)}",
    )


def align(lines: Sequence[tuple[str, ...]]) -> list[str]:
    """The cells in columns, names to the left and numbers to the right, the first line underlined as the header."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        "  ".join(cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(line, widths)))
        for line in lines
    ]
    return [aligned[0], "-" * len(aligned[0]), *(line.rstrip() for line in aligned[1:])]
