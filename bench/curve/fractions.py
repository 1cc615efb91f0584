"""From results files at several radii to one curve for each way to prove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from bench.bounds.chain import PROVED, Bounded
from bench.results import Row, columns, read_rows
from specs.errors import SpecError

SEARCH = "certify"  # with an accepted certificate
NOT_VIOLATED = "not violated"  # no curve can be above this one


@dataclass(frozen=True)
class Point:
    """At ``radius`` it holds for ``count`` of ``total`` instances."""

    radius: Fraction
    count: int
    total: int

    @property
    def fraction(self) -> float:
        return self.count / self.total


def curves(files: Sequence[tuple[Fraction, Path]]) -> dict[str, list[Point]]:
    """For each relaxation of ``certify bench bounds``, for ``certify`` itself and for what no attack has broken.

    Curves are in the order in which the files have them, points by radius. Raises ``SpecError`` for a file that is none
    of these, or holds nothing, and for two that say something of the same curve at the same radius.
    """
    found: dict[str, dict[Fraction, Point]] = {}
    for radius, path in files:
        for name, point in _points(radius, path):
            if radius in found.setdefault(name, {}):
                raise SpecError(f"is the second file with {name} at the radius {float(radius):g}", path)
            found[name][radius] = point
    return {name: [points[radius] for radius in sorted(points)] for name, points in found.items()}


def _points(radius: Fraction, path: Path) -> list[tuple[str, Point]]:
    rows: Sequence[Row]
    if _header(path) == ",".join(columns(Bounded)):
        rows = bounded = read_rows(path, Bounded)
        names = list(dict.fromkeys(row.relaxation for row in bounded))
        groups = [(name, [row.verdict == PROVED for row in bounded if row.relaxation == name]) for name in names]
    else:
        rows = read_rows(path, Row)
        certified = [row.verdict == "certified" and row.certificate_checked == "yes" for row in rows]
        groups = [(SEARCH, certified), (NOT_VIOLATED, [row.verdict != "violated" for row in rows])]
    if not rows:
        raise SpecError("holds no results", path)
    return [(name, Point(radius, sum(holds), len(holds))) for name, holds in groups]


def _header(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as stream:
            return stream.readline().rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot be read: {error}", path) from error
