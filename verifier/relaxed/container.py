"""Reading a relaxed attack: a plain ZIP of a JSON manifest and raw little-endian arrays, written by a stranger.

Sizes are capped before anything is unpacked, members are taken by exact name, and whatever is not exactly of the format
is refused: unknown versions, kinds, keys and members, arrays of another length, numbers that are not finite.
docs/relaxations/relaxed-attacks.md is the specification.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from specs.errors import CertificateError
from verifier.relaxed.contents import (
    CLAIM,
    Assignment,
    Content,
    File,
    Moments,
    Outputs,
    PointAction,
    PseudoMoments,
    RelaxedFile,
    Units,
    split,
)
from verifier.relaxed.write import FORMAT, VERSION

LARGEST_FILE = 1 << 28
LARGEST_MANIFEST = 1 << 23
LARGEST_TOLERANCE = 1e-3
LARGEST_ORDER = 2048  # of a moment matrix
MOST_MOMENTS = 1 << 20
LONGEST_NUMBER = 2000  # characters of an exact number
LONGEST_TEXT = 10_000
LARGEST_VALUE = 1e150
MOST_NEURONS = 1 << 22
MANIFEST = "manifest.json"
COMMON = {
    *("format", "version", "kind", "relaxation", "case", "splits", "rows", "weights", "score", "tolerance"),
    *("model", "query", "claim", "note", "producer"),
}
OWN = {
    "point": {"layers"},
    "moments": {"layers", "symbols"},
    "pseudo-moments": {"layers", "symbols"},
    "model": {"values"},
    "outputs": set(),
}
UNITS = ("z", "a", "lower", "upper")
SYMBOL = re.compile(r"1|x[0-9]{1,9}|[az][0-9]{1,6}\.[0-9]{1,9}")
RATIONAL = re.compile(r"-?[0-9]+(/[0-9]*[1-9][0-9]*)?")


def read_relaxed(path: Path) -> RelaxedFile:
    """The relaxed attack in a file; raises ``CertificateError``, one line that names the file, for anything else."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            _refuse(f"it is larger than {LARGEST_FILE >> 20} MiB")
        return parse_relaxed(path.read_bytes())
    except _Refused as refused:
        raise CertificateError(f"{path}: not a relaxed attack: {refused}") from None


def parse_relaxed(data: bytes) -> RelaxedFile:
    """The relaxed attack in these bytes; see ``read_relaxed``."""
    members = _members(data)
    manifest = _manifest(members.pop(MANIFEST))
    lower, upper = _array(members, "box_lower"), _array(members, "box_upper")
    if not len(lower) or lower.shape != upper.shape or (lower > upper).any():
        _refuse("box_lower and box_upper are no box")
    rows = _numbers(manifest["rows"], "rows")
    weights = None if manifest["weights"] is None else _numbers(manifest["weights"], "weights")
    if not len(rows) or (weights is not None and (weights.shape != rows.shape or (weights < 0).any())):
        _refuse("'rows' are none, or 'weights' are not one for each of them and not negative")
    tolerance = _real(manifest["tolerance"], "tolerance")
    if not 0 < tolerance <= LARGEST_TOLERANCE:
        _refuse(f"the tolerance is not between 0 and {LARGEST_TOLERANCE}")
    content = READERS[manifest["kind"]](manifest, members, len(lower))
    if members:
        _refuse(f"unknown members {sorted(members)[:6]}")
    return RelaxedFile(
        _text(manifest["relaxation"], "relaxation"),
        _natural(manifest["case"], "case"),
        lower,
        upper,
        rows,
        _real(manifest["score"], "score"),
        content,
        _file(manifest["model"]),
        _file(manifest["query"]),
        _splits(manifest["splits"]),
        weights,
        tolerance,
        _text(manifest["note"], "note"),
        _producer(manifest["producer"]),
    )


class _Refused(CertificateError):
    """Why something is not a relaxed attack."""


def _refuse(why: str) -> NoReturn:
    raise _Refused(why)


def _members(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            if len(set(names)) != len(names) or MANIFEST not in names or len(names) > 16:
                _refuse(f"its members are {names[:6]}")
            if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
                _refuse("a member is compressed")
            if sum(info.file_size for info in infos) > len(data):
                _refuse("its members are larger than the file")
            return {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        raise _Refused(str(error)) from None


def _manifest(data: bytes) -> dict[str, Any]:
    if len(data) > LARGEST_MANIFEST:
        _refuse(f"the manifest is larger than {LARGEST_MANIFEST >> 20} MiB")
    try:
        manifest = json.loads(data, parse_constant=lambda name: _refuse(f"the manifest holds {name}"))
    except (ValueError, RecursionError):
        raise _Refused("the manifest is not JSON") from None
    if not isinstance(manifest, dict):
        _refuse("the manifest is not a JSON object")
    kind, version = manifest.get("kind"), manifest.get("version")
    if manifest.get("format") != FORMAT or type(version) is not int or version != VERSION:
        _refuse(f"format {manifest.get('format')!r} version {version!r}, known is {FORMAT!r} version {VERSION}")
    if not isinstance(kind, str) or kind not in OWN:
        _refuse(f"kind {kind!r}; known are {', '.join(OWN)}")
    wrong = set(manifest) ^ (COMMON | OWN[kind])
    if wrong:
        _refuse(f"unknown or missing keys {sorted(wrong)[:6]}")
    if manifest["claim"] != CLAIM:
        _refuse("the claim is not the one that a relaxed attack makes")
    return manifest


def _array(members: dict[str, bytes], name: str, dtype: str = "<f8") -> np.ndarray:
    data = members.pop(f"{name}.bin", None)
    if data is None:
        _refuse(f"there is no {name}.bin")
    if len(data) % np.dtype(dtype).itemsize:
        _refuse(f"{name}.bin is cut off")
    array = np.frombuffer(data, dtype=dtype)
    if dtype == "<f8" and not np.isfinite(array).all():
        _refuse(f"{name}.bin holds NaN or infinity")
    return array.astype(float if dtype == "<f8" else np.int64)


def _point(manifest: dict[str, Any], members: dict[str, bytes], inputs: int) -> PointAction:
    x = _array(members, "x")
    if len(x) != inputs:
        _refuse("x.bin is not as long as the box")
    if manifest["layers"] is None:
        return PointAction(x, None)
    widths = _widths(manifest["layers"])
    names = [*UNITS, "below"] if "below.bin" in members else [*UNITS]
    parts = {name: _by_layer(members, name, widths) for name in names}
    return PointAction(x, Units(**parts))


def _moments(manifest: dict[str, Any], members: dict[str, bytes], inputs: int) -> Moments:
    widths = _widths(manifest["layers"])
    symbols = _symbols(manifest["symbols"], widths, inputs)
    factor = "factor.bin" in members
    flat = _array(members, "factor" if factor else "matrix")
    order = len(symbols)
    if not len(flat) or len(flat) % order or len(flat) > order**2 or (not factor and len(flat) != order**2):
        _refuse(f"there are {len(flat)} moments of {order} symbols")
    lower, upper = (_by_layer(members, name, widths) for name in ("lower", "upper"))
    return Moments(symbols, flat.reshape(order, -1), factor, lower, upper)


def _pseudo_moments(manifest: dict[str, Any], members: dict[str, bytes], inputs: int) -> PseudoMoments:
    widths = _widths(manifest["layers"])
    symbols = _symbols(manifest["symbols"], widths, inputs)
    exponents, values = _array(members, "exponents", "<u2"), _array(members, "values")
    if not 0 < len(values) <= MOST_MOMENTS or len(exponents) != len(values) * (len(symbols) - 1):
        _refuse(f"there is not one exponent for each value and symbol, or there are more than {MOST_MOMENTS} values")
    lower, upper = (_by_layer(members, name, widths) for name in ("lower", "upper"))
    return PseudoMoments(symbols, exponents.reshape(len(values), -1), values, lower, upper)


def _assignment(manifest: dict[str, Any], members: dict[str, bytes], inputs: int) -> Assignment:
    values = manifest["values"]
    if not isinstance(values, dict) or not all(
        SYMBOL.fullmatch(name) and isinstance(v, str) and len(v) <= LONGEST_NUMBER and RATIONAL.fullmatch(v)
        for name, v in values.items()
    ):
        _refuse("'values' does not map symbols to rational numbers")
    if any(f"x{i}" not in values for i in range(inputs)):
        _refuse("'values' does not say what every input is")
    exact = {name: Fraction(value) for name, value in values.items()}
    if any(abs(value) > LARGEST_VALUE for value in exact.values()):
        _refuse(f"a value is larger than {LARGEST_VALUE:.0e}")
    return Assignment(exact)


def _outputs(manifest: dict[str, Any], members: dict[str, bytes], inputs: int) -> Outputs:
    x, y, lower, upper = (_array(members, name) for name in ("x", "y", "lower", "upper"))
    if len(x) != inputs:
        _refuse("x.bin is not as long as the box")
    if not len(y) or not len(y) == len(lower) == len(upper):
        _refuse("y.bin, lower.bin and upper.bin are not one number for each output")
    return Outputs(x, y, lower, upper)


READERS: dict[str, Callable[[dict[str, Any], dict[str, bytes], int], Content]] = {
    "point": _point,
    "moments": _moments,
    "pseudo-moments": _pseudo_moments,
    "model": _assignment,
    "outputs": _outputs,
}


def _by_layer(members: dict[str, bytes], name: str, widths: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    array = _array(members, name)
    if len(array) != sum(widths):
        _refuse(f"{name}.bin does not hold one number for each of {sum(widths)} neurons")
    return split(array, widths)


def _widths(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or any(_natural(n, "layers") < 1 for n in value) or sum(value) > MOST_NEURONS:
        _refuse("'layers' is not a list of sizes")
    return tuple(value)


def _symbols(value: object, widths: tuple[int, ...], inputs: int) -> tuple[str, ...]:
    known = isinstance(value, list) and all(isinstance(s, str) and SYMBOL.fullmatch(s) for s in value)
    if not known or not value or value[0] != "1" or len(set(value)) != len(value) or len(value) > LARGEST_ORDER:
        _refuse("'symbols' are not different ones that begin with '1'")
    if not set(value) >= {f"x{i}" for i in range(inputs)}:
        _refuse("'symbols' lack an input")
    for symbol in value:
        layer, _, neuron = symbol[1:].partition(".")
        inside = int(layer) < len(widths) and int(neuron) < widths[int(layer)] if neuron else True
        if symbol[0] == "z" or not inside or (symbol[0] == "x" and int(layer) >= inputs):
            _refuse(f"the symbol {symbol!r} stands for nothing")
    return tuple(value)


def _natural(value: object, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        _refuse(f"{name!r} is not a natural number")
    return value


def _real(value: object, name: str) -> float:
    try:
        number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        _refuse(f"{name!r} is not a finite number")
    return number


def _numbers(value: object, name: str) -> np.ndarray:
    if not isinstance(value, list):
        _refuse(f"{name!r} is not a list of numbers")
    return np.array([_real(number, name) for number in value])


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        _refuse(f"{name!r} is not a short text")
    return "".join(c if c.isprintable() else "?" for c in value)  # it will meet a terminal


def _file(value: object) -> File:
    if not isinstance(value, dict) or set(value) != {"sha256", "path"}:
        _refuse("a file needs exactly 'sha256' and 'path'")
    return File(_text(value["sha256"], "sha256"), _text(value["path"], "path"))


def _splits(value: object) -> tuple[tuple[int, int, int], ...]:
    if not isinstance(value, list):
        _refuse("'splits' is not a list")
    for entry in value:
        if not isinstance(entry, list) or len(entry) != 3 or entry[2] not in (-1, 1):
            _refuse("'splits' are not (layer, neuron, +1 or -1)")
        _natural(entry[0], "splits"), _natural(entry[1], "splits")
    return tuple((layer, neuron, int(sign)) for layer, neuron, sign in value)


def _producer(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > 100:
        _refuse("'producer' is not a short object of texts")
    return {_text(key, "producer"): _text(part, "producer") for key, part in value.items()}
