"""The explicit list of all inputs as a file: one line for each, with the row that holds there and by how much."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from relaxations.enumeration import Enumeration


class Listing:
    """Of every case its inputs and the dual (P,) that names a row of it for each."""

    def __init__(self, parts: Sequence[tuple[Enumeration, np.ndarray]]) -> None:
        self.parts = parts

    @property
    def count(self) -> int:
        return sum(len(relaxation.points) for relaxation, _ in self.parts)

    def write(self, path: Path) -> None:
        """A line has the case by its place, the row, its value there, and the input, in digits that give it back."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            size = self.parts[0][0].points.shape[1]
            writer.writerow(["case", "row", "value", *(f"x{i}" for i in range(size))])
            for case, (relaxation, dual) in enumerate(self.parts):
                values = relaxation.named(dual).tolist()
                for row, value, x in zip(dual.tolist(), values, relaxation.points.tolist()):
                    writer.writerow([case, row, repr(value), *map(repr, x)])

    def read(self, path: Path) -> float:
        """The largest negated value of the rows that a file names, computed anew in float64.

        inf unless its inputs are exactly those of the cases, in their order.
        """
        with path.open(newline="", encoding="utf-8") as file:
            lines = np.array([line[:2] + line[3:] for line in list(csv.reader(file))[1:]], dtype=float)
        value, at = -np.inf, 0
        for case, (relaxation, _) in enumerate(self.parts):
            part = lines[at : at + len(relaxation.points)]
            at += len(part)
            covered = len(part) == len(relaxation.points) and bool((part[:, 0] == case).all())
            if not covered or not (part[:, 2:] == relaxation.points).all():
                return np.inf
            value = max(value, relaxation.bound(part[:, 1].astype(np.int64)))
        return value if at == len(lines) else np.inf
