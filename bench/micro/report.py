"""Measurements as a table for people, as JSON and as CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, fields

from bench.machine import installed, machine
from bench.micro.timing import Measurement
from bench.table import align
from verifier.cli import THREADS

HEADER = ("benchmark", "network", "batch", "median", "quartiles", "unit", "calls", "note")


def table(measurements: Sequence[Measurement]) -> str:
    """One line for each measurement."""
    return "\n".join(align([HEADER, *map(_line, measurements)]))


def json_text(measurements: Sequence[Measurement]) -> str:
    """The measurements with what they were made with: versions, machine and numbers of threads."""
    record = {
        "versions": installed(),
        "machine": machine(),
        "threads": {name: os.environ.get(name) for name in THREADS},
        "measurements": [asdict(each) for each in measurements],
    }
    return json.dumps(record, indent=1, allow_nan=False) + "\n"


def csv_text(measurements: Sequence[Measurement]) -> str:
    """One row for each measurement; what is not known is empty."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, [field.name for field in fields(Measurement)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(each) for each in measurements)
    return stream.getvalue()


def _line(each: Measurement) -> tuple[str, ...]:
    known = each.median is not None and each.low is not None and each.high is not None
    spread = (f"{each.median:.4g}", f"{each.low:.4g} to {each.high:.4g}") if known else ("-", "-")
    return (each.benchmark, each.network, str(each.batch or "-"), *spread, each.unit, str(each.calls), each.note)
