"""A ledger of cells on the unit square with a planted disc: the bound is at least its area, and not much more."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from verifier.statistics.strata import Cell, total_bound

F = Fraction
LEVEL = F(1, 100)
CENTRE, RADIUS = (F(1, 2), F(5, 8)), F(1, 4)


def reaches(low, high, radius=RADIUS) -> bool:
    """Whether the disc meets this box: by the nearest point, exactly."""
    nearest = [min(max(c, l), h) for c, l, h in zip(CENTRE, low, high)]
    return sum((v - c) ** 2 for v, c in zip(nearest, CENTRE)) <= radius**2


def grid(n: int, radius=RADIUS) -> list[Cell]:
    """Cells that the disc does not meet are certified, all others are open."""
    cells = []
    for i in range(n):
        for j in range(n):
            low, high = (F(i, n), F(j, n)), (F(i + 1, n), F(j + 1, n))
            status = "open" if reaches(low, high, radius) else "certified"
            cells.append(
                Cell(F(1, n * n), status, tuple(map(float, low)), tuple(map(float, high)), evidence="geometry")
            )
    return cells


@pytest.mark.parametrize("n", [4, 8, 16, 32, 64])
def test_the_bound_is_the_area_and_a_cell_around_it(n):
    """Every open cell lies within the disc grown by a cell's diagonal."""
    area, grown = math.pi * float(RADIUS) ** 2, math.pi * (float(RADIUS) + math.sqrt(2) / n) ** 2
    assert area <= float(total_bound(grid(n), [0] * n * n, LEVEL)) <= grown


def test_it_shrinks_with_every_halving():
    bounds = [total_bound(grid(n), [0] * n * n, LEVEL) for n in (2, 4, 8, 16, 32, 64)]
    assert bounds == sorted(bounds, reverse=True)
    assert len(set(bounds)) > 4


def test_it_is_0_if_and_only_if_every_cell_is_certified():
    far = [Cell(F(1, 4), "certified", evidence="geometry")] * 4
    assert total_bound(far, [0] * 4, LEVEL) == 0
    assert total_bound([*far[:3], Cell(F(1, 4), "open")], [0] * 4, LEVEL) == F(1, 4)
    assert total_bound(far[:3], [0] * 3, LEVEL) == F(1, 4)
    sampled = Cell(F(1, 4), "sampled", (0.0,), (1.0,), 10**6, F(1))
    assert 0 < total_bound([*far[:3], sampled], [0] * 4, LEVEL) < F(1, 10**5)


@pytest.mark.parametrize("n", [8, 16])
def test_samples_of_cells_at_the_edge_make_it_smaller(n):
    """The same cells, those that the disc does not fill sampled: truth lies below, and more draws bring it closer."""
    area, bounds = math.pi * float(RADIUS) ** 2, []
    for draws in (50, 400, 3200):
        cells, failures = [], []
        edge = [c for c in grid(n) if c.status == "open" and not _filled(c)]
        for cell in grid(n):
            at_edge = cell.status == "open" and not _filled(cell)
            share = F(1, len(edge)) if at_edge else F(0)
            cells.append(Cell(cell.mass, "sampled", cell.lower, cell.upper, draws, share) if at_edge else cell)
            failures.append(round(draws * _share(cell)) if at_edge else 0)
        bounds.append(total_bound(cells, failures, LEVEL))
    assert area < float(bounds[2]) < float(bounds[1]) < float(bounds[0])
    assert float(bounds[2]) < 1.1 * area < float(total_bound(grid(n), [0] * n * n, LEVEL))


def _filled(cell: Cell) -> bool:
    corners = [(x, y) for x in (cell.lower[0], cell.upper[0]) for y in (cell.lower[1], cell.upper[1])]
    return all(math.dist(corner, CENTRE) <= RADIUS for corner in corners)


def _share(cell: Cell) -> float:
    """Of the cell's points of a fine grid that lie in the disc, within a hundredth."""
    points = [(k + 0.5) / 40 for k in range(40)]
    (x0, y0), (x1, y1) = cell.lower, cell.upper
    inside = [math.dist((x0 + (x1 - x0) * s, y0 + (y1 - y0) * t), CENTRE) <= RADIUS for s in points for t in points]
    return sum(inside) / len(inside)
