"""The robustness curve as a picture."""

from __future__ import annotations

from pathlib import Path

from bench.curve.fractions import NOT_VIOLATED, Point
from relaxations.solvers import required


def plot(curves: dict[str, list[Point]], title: str, path: Path) -> None:
    """Write the picture, in the format of the path's suffix; raises ``MissingSolver`` where matplotlib is missing."""
    required("matplotlib", "matplotlib is not installed")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, points in curves.items():
        style = {"color": "black", "linestyle": "dashed"} if name == NOT_VIOLATED else {"marker": "o"}
        axes.plot([float(p.radius) for p in points], [100 * p.fraction for p in points], label=name, **style)
    axes.set_xlabel("radius of the ball")
    axes.set_ylabel("per cent of the instances")
    axes.set_ylim(0, 102)
    axes.set_title(title)
    axes.legend()
    figure.savefig(path)
