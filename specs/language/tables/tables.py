"""Answer tables: a finite record of an overseer's answers in a CSV file, read exactly."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from specs.errors import SpecError
from specs.language.text.decimals import exact
from specs.language.text.suggest import did_you_mean
from specs.language.text.textfile import read_text
from specs.language.text.yaml_tree import parse_number

Point = tuple[Fraction, ...]
MOST_ROWS = 100_000


@dataclass(frozen=True)
class Seen:
    """Something an overseer sees: the names of its elements if it has any, and their number where it is known."""

    name: str
    names: tuple[str, ...] = ()
    size: int | None = None


@dataclass(frozen=True)
class Table:
    """``answers`` by the numbers seen, all exact and in raw units; ``sizes[k]`` of these belong to the k-th thing."""

    file: Path
    columns: tuple[str, ...]
    sizes: tuple[int, ...]
    answers: Mapping[Point, Point]

    @property
    def n_answers(self) -> int:
        return len(next(iter(self.answers.values())))

    def told(self, point: Sequence[Fraction]) -> str:
        """A point in words."""
        return ", ".join(f"{column} = {exact(value)}" for column, value in zip(self.columns, point))


def read_table(file: Path, sees: Sequence[Seen], outputs: Mapping[str, int]) -> Table:
    """The table in a CSV file whose first line names its columns, in any order.

    For something seen called x: ``x`` where it is one number, else ``x[0]``, ``x[1]`` and so on or the names of its
    elements, ``x.speed``. Every other column has to be one of ``outputs``, which say in which place of the answer it
    goes. Numbers are decimals or quotients. Raises ``SpecError`` with the line, also where two lines disagree.
    """
    reader = csv.reader(io.StringIO(read_text(file), newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        places, sizes = _places(file, header, sees, outputs)
        answers: dict[Point, Point] = {}
        lines: dict[Point, int] = {}
        asked = places[: sum(sizes)]
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            line = reader.line_num
            if len(cells) != len(header):
                raise SpecError(f"has {len(cells)} values under {len(header)} columns", file, line)
            values = [_number(cell, column, file, line) for cell, column in zip(cells, header)]
            point = tuple(values[place] for place in asked)
            answer = tuple(values[place] for place in places[len(asked) :])
            if answers.setdefault(point, answer) != answer:
                told = ", ".join(f"{header[place]} = {exact(value)}" for place, value in zip(asked, point))
                raise SpecError(f"another answer at {told} than line {lines[point]} has", file, line)
            lines.setdefault(point, line)
            if len(answers) > MOST_ROWS:
                raise SpecError(f"has more than {MOST_ROWS:,} points", file, line)
    except csv.Error as error:
        raise SpecError(f"is no CSV file: {error}", file, reader.line_num) from None
    if not answers:
        raise SpecError("has no answers: there is no line after the names of the columns", file, 1)
    return Table(file, tuple(header[place] for place in asked), sizes, answers)


def _number(cell: str, column: str, file: Path, line: int) -> Fraction:
    try:
        number = parse_number(cell.strip())
    except OverflowError as error:
        raise SpecError(str(error), file, line) from None
    if number is None:
        raise SpecError(f"expected a number under {column}, found {cell.strip()[:40]!r}", file, line)
    return number


def _places(
    file: Path, header: Sequence[str], sees: Sequence[Seen], outputs: Mapping[str, int]
) -> tuple[list[int], tuple[int, ...]]:
    """The columns of what is seen and then of the answers, in their order, and how many each thing seen has."""
    twice = [name for i, name in enumerate(header) if name in header[:i]]
    if twice:
        raise SpecError(f"names the column {twice[0]!r} twice", file, 1)
    found: list[int] = []
    sizes = []
    for one in sees:
        own = {_element(one, name): i for i, name in enumerate(header) if _element(one, name) is not None}
        expected = one.size if one.size is not None else max(len(own), 1)
        absent = [k for k in range(expected) if k not in own]
        if absent or len(own) > expected:
            wanted = one.name if expected == 1 else f"{one.name}[{absent[0] if absent else 0}]"
            raise SpecError(
                f"has no column {wanted}: {one.name} is {expected} number(s)"
                if absent
                else f"has {len(own)} columns of {one.name}, which is {expected} number(s)",
                file,
                1,
            )
        found += [own[k] for k in range(expected)]
        sizes.append(expected)
    for name in outputs:
        if name not in header:
            raise SpecError(f"has no column {name!r}, which is one of the outputs{did_you_mean(name, header)}", file, 1)
        if header.index(name) in found:
            raise SpecError(f"the column {name!r} is something the overseer sees and an output", file, 1)
    beyond = [name for i, name in enumerate(header) if i not in found and name not in outputs]
    if beyond:
        hint = did_you_mean(beyond[0], [*outputs, *(one.name for one in sees)])
        raise SpecError(f"the column {beyond[0]!r} is nothing the overseer sees, and no output{hint}", file, 1)
    return [*found, *(header.index(name) for name in sorted(outputs, key=outputs.__getitem__))], tuple(sizes)


def _element(one: Seen, column: str) -> int | None:
    """Which element of something seen a column holds."""
    if column == one.name:
        return 0
    if column.startswith(f"{one.name}.") and column[len(one.name) + 1 :] in one.names:
        return one.names.index(column[len(one.name) + 1 :])
    match = re.fullmatch(r"\[([0-9]{1,9})\]", column[len(one.name) :]) if column.startswith(one.name) else None
    return int(match.group(1)) if match else None
