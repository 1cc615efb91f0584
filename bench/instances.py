"""Which questions a benchmark folder asks: the rows of its ``instances.csv``."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from specs.errors import SpecError

EXPECTED = ("sat", "unsat", "unknown")


@dataclass(frozen=True)
class Instance:
    """One question: does ``model`` meet ``spec``? Both paths are as listed, relative to ``folder``.

    ``expected`` is ``unsat`` when the property is known to hold, ``sat`` when a counterexample is known and
    ``unknown`` when nothing reliable is known. ``timeout`` is in seconds.
    """

    folder: Path
    model: str
    spec: str
    timeout: float
    expected: str

    @property
    def benchmark(self) -> str:
        return self.folder.name

    @property
    def model_path(self) -> Path:
        return stored(self.folder / self.model)

    @property
    def spec_path(self) -> Path:
        return stored(self.folder / self.spec)


def stored(path: Path) -> Path:
    """The path itself, or its gzip-compressed sibling where only that exists."""
    packed = path.with_name(path.name + ".gz")
    return packed if not path.is_file() and packed.is_file() else path


def find_instances(folder: Path, benchmarks: Iterable[str] | None = None, pattern: str | None = None) -> list[Instance]:
    """All instances of one benchmark folder, or of every benchmark folder directly inside ``folder``, in listed order.

    ``benchmarks`` keeps the folders of these names; ``pattern`` keeps the instances for which the regular expression
    is found in ``"benchmark model spec"``. Raises ``SpecError`` naming every offender when a listing cannot be
    read, a listed file is missing, or nothing is left.
    """
    folders = _benchmark_folders(folder)
    if benchmarks is not None:
        folders = _named(folders, list(benchmarks), folder)
    try:
        wanted = re.compile(pattern or "")
    except re.error as error:
        raise SpecError(f"not a regular expression: {pattern!r} ({error})") from error
    instances = [
        instance
        for each in folders
        for instance in read_instances(each)
        if wanted.search(f"{instance.benchmark} {instance.model} {instance.spec}")
    ]
    if not instances:
        raise SpecError(f"no instance matches {pattern!r}" if pattern else "no instances listed", folder)
    missing = sorted({str(p) for i in instances for p in (i.model_path, i.spec_path) if not p.is_file()})
    if missing:
        shown = "\n  ".join(missing[:20]) + (f"\n  ... and {len(missing) - 20} more" if len(missing) > 20 else "")
        raise SpecError(f"{len(missing)} listed file(s) missing:\n  {shown}", folder)
    return instances


def read_instances(folder: Path) -> list[Instance]:
    """The rows of ``folder/instances.csv``.

    With a header line the columns ``onnx``, ``vnnlib`` and ``timeout_s`` are required and ``expected`` is optional;
    without one the columns are model, specification, seconds (the layout of the VNN competitions).
    Raises ``SpecError`` that lists every bad line.
    """
    listing = folder / "instances.csv"
    try:
        with listing.open(newline="", encoding="utf-8") as stream:
            reader = csv.reader(stream)
            rows = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SpecError(f"cannot be read as CSV: {error}", listing) from error
    columns = {"onnx": 0, "vnnlib": 1, "timeout_s": 2}
    if rows and "onnx" in rows[0][1]:
        header = rows.pop(0)[1]
        columns = {name: i for i, name in enumerate(header)}
        absent = [name for name in ("onnx", "vnnlib", "timeout_s") if name not in columns]
        if absent:
            raise SpecError(f"the header has no column {', '.join(absent)}; it reads {','.join(header)}", listing, 1)
    instances, problems = [], []
    for line, cells in rows:
        try:
            instances.append(_instance(folder, {k: cells[i].strip() for k, i in columns.items() if i < len(cells)}))
        except ValueError as error:
            problems.append((line, str(error)))
    if problems:
        rest = "".join(f"\n{listing}:{line}: {text}" for line, text in problems[1:])
        raise SpecError(problems[0][1] + rest, listing, problems[0][0])
    return instances


def _instance(folder: Path, cells: dict[str, str]) -> Instance:
    absent = [name for name in ("onnx", "vnnlib", "timeout_s") if not cells.get(name)]
    if absent:
        raise ValueError(f"no value for {', '.join(absent)}")
    try:
        timeout = float(cells["timeout_s"])
    except ValueError:
        timeout = math.nan
    if not 0 < timeout < math.inf:
        raise ValueError(f"timeout_s must be a positive number of seconds, got {cells['timeout_s']!r}")
    expected = cells.get("expected") or "unknown"
    if expected not in EXPECTED:
        raise ValueError(f"expected must be one of {', '.join(EXPECTED)}, got {expected!r}")
    return Instance(folder, cells["onnx"], cells["vnnlib"], timeout, expected)


def _benchmark_folders(folder: Path) -> list[Path]:
    folder = folder.resolve()
    if (folder / "instances.csv").is_file():
        return [folder]
    if not folder.is_dir():
        raise SpecError("no such folder", folder)
    found = sorted(each.parent for each in folder.glob("*/instances.csv"))
    if not found:
        raise SpecError("neither this folder nor a folder directly inside it holds an instances.csv", folder)
    return found


def _named(folders: list[Path], names: list[str], root: Path) -> list[Path]:
    by_name = {each.name: each for each in folders}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise SpecError(f"no benchmark named {', '.join(unknown)}; there are: {', '.join(by_name)}", root)
    return [by_name[name] for name in names]
