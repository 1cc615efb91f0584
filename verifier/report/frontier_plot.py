"""The frontier as a picture: what a smaller gap costs in time and in bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from relaxations.solvers import required
from verifier.engine.frontier.rows import Frontier, Row

FLOOR = 1e-9  # the least gap that is drawn; below it are the tolerances of solvers


def plot(found: Frontier, path: Path) -> None:
    """Write the picture, in the format of the path's suffix; raises ``MissingSolver`` where matplotlib is missing.

    A line joins what nothing else beats in both: the Pareto front.
    """
    required("matplotlib", "matplotlib is not installed")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    panels: list[tuple[str, Callable[[Row], float | None]]] = [
        ("seconds to solve", lambda row: row.seconds),
        ("bytes of the proof", lambda row: row.proof_bytes),
    ]
    for axes, (label, cost_of) in zip(figure.subplots(1, 2), panels):
        points = [(cost, max(found.gap(row), FLOOR), row.relaxation) for row, cost in _costs(found, cost_of)]
        for cost, gap, name in points:
            axes.plot(cost, gap, "o", color="black")
            axes.annotate(name, (cost, gap), xytext=(4, 4), textcoords="offset points")
        best = front([(cost, gap) for cost, gap, _ in points])
        axes.step([cost for cost, _ in best], [gap for _, gap in best], where="post", color="tab:blue")
        if points:
            axes.margins(0.15)  # for the names
            axes.set_xscale("log")
            axes.set_yscale("log")
        axes.set_xlabel(label)
        axes.set_ylabel("gap to the best attack")
    figure.suptitle(found.id)
    figure.savefig(path)


def front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points with no other that is at most as large in both, by the first number."""
    kept: list[tuple[float, float]] = []
    for cost, gap in sorted(points):
        if not kept or gap < kept[-1][1]:
            kept.append((cost, gap))
    return kept


def _costs(found: Frontier, cost_of: Callable[[Row], float | None]) -> list[tuple[Row, float]]:
    pairs = [(row, cost_of(row)) for row in found.rows if found.gap(row) == found.gap(row)]
    return [(row, cost) for row, cost in pairs if cost is not None and cost > 0]
