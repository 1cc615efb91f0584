"""``certify bench curve``: fractions of certified instances against the radius, as a table and a picture."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from bench.arguments import answered
from bench.curve.fractions import Point, curves
from bench.curve.plot import plot
from bench.exit_codes import OK
from bench.table import align
from verifier.places import check_writable


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0; 2 usage or unreadable input, and nothing is written then."""
    return answered(_parser(), _run, argv)


def _run(options: argparse.Namespace) -> int:
    check_writable(options.plot, "plot")
    found = curves(options.results)
    plot(found, options.title, options.plot)
    print(f"{table(found)}\n\nplotted in {options.plot}")
    return OK


def table(found: dict[str, list[Point]]) -> str:
    """Per cent, one line for each curve and one column for each radius; a point that is not there is a dash."""
    radii = sorted({point.radius for points in found.values() for point in points})
    lines = [("%", *(f"{float(radius):g}" for radius in radii))]
    for name, points in found.items():
        at = {point.radius: f"{100 * point.fraction:.0f}" for point in points}
        lines.append((name, *(at.get(radius, "-") for radius in radii)))
    totals = {point.radius: str(point.total) for points in found.values() for point in points}
    lines.append(("instances", *(totals[radius] for radius in radii)))
    return "\n".join(align(lines))


def _results(text: str) -> tuple[Fraction, Path]:
    radius, sign, path = text.partition("=")
    try:
        value = Fraction(radius)
    except (ValueError, ZeroDivisionError):
        value = Fraction(-1)
    if not sign or not path or value < 0:
        raise argparse.ArgumentTypeError(f"must be RADIUS=FILE such as 2/255=results.csv, got {text!r}")
    return value, Path(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="certify bench curve",
        description="Plot which part of the instances is certified, against the radius of the ball. Files are results "
        "of certify bench (what has an accepted certificate, and what no attack has broken) and of certify bench "
        "bounds (a curve for each relaxation).",
        epilog="Exit codes: 0 done, 2 usage or unreadable input.",
    )
    add = parser.add_argument
    add("plot", type=Path, metavar="PLOT", help="the picture to write, its format by the suffix: .svg, .png, .pdf")
    add("results", type=_results, nargs="+", metavar="RADIUS=FILE", help="results at a radius, such as 2/255=a.csv")
    add("--title", default="", help="above the picture")
    return parser


if __name__ == "__main__":
    sys.exit(main())
