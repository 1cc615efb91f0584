"""Files of relaxed attacks: what was written is read, equal attacks are equal bytes, and anything else is refused."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specs.errors import CertificateError
from tests.unit.verifier.relaxed.drawn import drawn
from tests.unit.verifier.relaxed.files import (
    of_lines,
    of_model,
    of_moments,
    of_outputs,
    of_point,
    of_pseudo_moments,
    packed,
)
from verifier.relaxed.container import LARGEST_FILE, parse_relaxed, read_relaxed
from verifier.relaxed.contents import CLAIM, PointAction, RelaxedFile, Units

TINY = 2  # the seed of a question with few symbols


def examples() -> dict[str, RelaxedFile]:
    one = drawn(TINY)
    splits = ((0, 1, 1), (0, 2, -1))
    return {
        "point": replace(of_point(one), splits=splits, note="a note", producer={"certify": "1"}),
        "lines": of_lines(one),
        "input": replace(of_point(one), content=PointAction(one.action.x, None)),
        "moments": of_moments(one.query, factor=False),
        "factor": of_moments(one.query, factor=True),
        "pseudo-moments": of_pseudo_moments(one.query),
        "model": of_model(one.query),
        "outputs": of_outputs(one.query),
    }


def same(one: Any, other: Any) -> bool:
    if is_dataclass(one):
        return type(one) is type(other) and all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@pytest.mark.parametrize("name", examples())
def test_what_is_written_is_read(name: str, tmp_path: Path) -> None:
    attack = examples()[name]
    data = packed(attack)
    assert data == packed(attack)
    file = tmp_path / "attack.nnrelax"
    file.write_bytes(data)
    assert same(read_relaxed(file), attack)
    with zipfile.ZipFile(file) as archive:
        assert json.loads(archive.read("manifest.json"))["claim"] == CLAIM
        assert {i.compress_type for i in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {i.date_time for i in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert "NOT a counterexample" in CLAIM


def test_a_network_without_layers_is_not_one_whose_units_were_left_out() -> None:
    attack = examples()["input"]
    assert parse_relaxed(packed(attack)).content.units is None
    nothing = Units((), (), (), ())
    linear = replace(attack, content=PointAction(attack.content.x, nothing))
    assert parse_relaxed(packed(linear)).content.units == nothing


def spoilt(attack: RelaxedFile, change: Callable[[dict[str, bytes], dict[str, Any]], None], **options: Any) -> bytes:
    """The file with members and manifest changed."""
    with zipfile.ZipFile(io.BytesIO(packed(attack))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    change(members, manifest)
    members.setdefault("manifest.json", json.dumps(manifest).encode())
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def array(*values: float) -> bytes:
    return np.array(values, dtype="<f8").tobytes()


HOSTILE: dict[str, tuple[str, Callable[[dict[str, bytes], dict[str, Any]], None]]] = {
    "another format": ("point", lambda m, j: j.update(format="nncert")),
    "a later version": ("point", lambda m, j: j.update(version=2)),
    "a version that is true": ("point", lambda m, j: j.update(version=True)),
    "an unknown kind": ("point", lambda m, j: j.update(kind="pickle")),
    "a kind that is no text": ("point", lambda m, j: j.update(kind=["point"])),
    "a further key": ("point", lambda m, j: j.update(code="import os")),
    "a key less": ("point", lambda m, j: j.pop("score")),
    "another claim": ("point", lambda m, j: j.update(claim="a counterexample")),
    "a further member": ("point", lambda m, j: m.update({"evil.bin": b""})),
    "a member less": ("point", lambda m, j: m.pop("z.bin")),
    "NaN in an array": ("point", lambda m, j: m.update({"a.bin": array(*[np.nan] * (len(m["a.bin"]) // 8))})),
    "infinity in an array": ("point", lambda m, j: m.update({"x.bin": array(*[np.inf] * (len(m["x.bin"]) // 8))})),
    "an array cut off": ("point", lambda m, j: m.update({"z.bin": m["z.bin"][:-3]})),
    "an array too short": ("point", lambda m, j: m.update({"z.bin": m["z.bin"][:-8]})),
    "an input too long": ("point", lambda m, j: m.update({"x.bin": m["x.bin"] + array(0.0)})),
    "a box upside down": ("point", lambda m, j: m.update({"box_lower.bin": array(*[1e9] * (len(m["x.bin"]) // 8))})),
    "NaN in the manifest": ("point", lambda m, j: j.update(score=float("nan"))),
    "infinity in the rows": ("point", lambda m, j: j.update(rows=[float("inf")] * len(j["rows"]))),
    "a number that overflows": ("point", lambda m, j: j.update(score=10**400)),
    "huge layers": ("point", lambda m, j: j.update(layers=[1 << 40])),
    "negative layers": ("point", lambda m, j: j.update(layers=[-1])),
    "a great tolerance": ("point", lambda m, j: j.update(tolerance=1.0)),
    "no tolerance": ("point", lambda m, j: j.update(tolerance=0.0)),
    "negative weights": ("point", lambda m, j: j.update(weights=[-1.0] * len(j["rows"]))),
    "no rows": ("point", lambda m, j: j.update(rows=[])),
    "splits of no sign": ("point", lambda m, j: j.update(splits=[[0, 0, 0]])),
    "splits of other things": ("point", lambda m, j: j.update(splits=["abc"])),
    "a negative case": ("point", lambda m, j: j.update(case=-1)),
    "a source of other keys": ("point", lambda m, j: j.update(model={"sha256": "", "url": ""})),
    "a long text": ("point", lambda m, j: j.update(note="x" * 100_000)),
    "moments of another number": ("moments", lambda m, j: m.update({"matrix.bin": m["matrix.bin"][:-8]})),
    "a symbol twice": ("moments", lambda m, j: j.update(symbols=[*j["symbols"][:-1], "x0"])),
    "a symbol for nothing": ("moments", lambda m, j: j.update(symbols=[*j["symbols"][:-1], "a77.0"])),
    "symbols that are code": ("moments", lambda m, j: j.update(symbols=[*j["symbols"][:-1], "__import__"])),
    "an input without a symbol": ("moments", lambda m, j: j.update(symbols=["1", *j["symbols"][2:], "a0.0"])),
    "an exponent less": ("pseudo-moments", lambda m, j: m.update({"exponents.bin": m["exponents.bin"][:-2]})),
    "a value that is no number": ("model", lambda m, j: j["values"].update(x0="1/0")),
    "a value that is long": ("model", lambda m, j: j["values"].update(x0="1" * 3000)),
    "a value that overflows": ("model", lambda m, j: j["values"].update(x0="1" * 400)),
    "no moments": ("pseudo-moments", lambda m, j: m.update({"exponents.bin": b"", "values.bin": b""})),
    "an input without a value": ("model", lambda m, j: j["values"].pop("x0")),
    "outputs without a range": ("outputs", lambda m, j: m.pop("upper.bin")),
    "an output less": ("outputs", lambda m, j: m.update({"y.bin": m["y.bin"][:-8]})),
    "no outputs": ("outputs", lambda m, j: m.update({"y.bin": b"", "lower.bin": b"", "upper.bin": b""})),
    "an output that is infinite": ("outputs", lambda m, j: m.update({"y.bin": array(np.inf) + m["y.bin"][8:]})),
    "layers of outputs": ("outputs", lambda m, j: j.update(layers=[1])),
    "a manifest that is a list": ("point", lambda m, j: m.update({"manifest.json": b"[]"})),
    "a manifest that is not JSON": ("point", lambda m, j: m.update({"manifest.json": b"{"})),
    "a deep manifest": ("point", lambda m, j: m.update({"manifest.json": b"[" * 100_000})),
    "a large manifest": ("point", lambda m, j: m.update({"manifest.json": b" " * (1 << 24)})),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_not_of_the_format_is_refused_in_one_line(what: str, tmp_path: Path) -> None:
    kind, change = HOSTILE[what]
    refused(spoilt(examples()[kind], change), tmp_path)


def refused(data: bytes, folder: Path) -> str:
    file = folder / "hostile.nnrelax"
    file.write_bytes(data)
    with pytest.raises(CertificateError) as error:
        read_relaxed(file)
    message = str(error.value)
    assert message.startswith(f"{file}: not a relaxed attack: ")
    assert "\n" not in message
    assert len(message) < 500
    return message


def test_an_unchanged_file_is_not_refused(tmp_path: Path) -> None:
    file = tmp_path / "fine.nnrelax"
    file.write_bytes(spoilt(examples()["point"], lambda m, j: None))
    assert same(read_relaxed(file), examples()["point"])


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    data = packed(examples()["point"])
    for length in [*range(0, len(data), 97), len(data) - 1]:
        refused(data[:length], tmp_path)


def test_compressed_members_are_refused(tmp_path: Path) -> None:
    data = spoilt(examples()["point"], lambda m, j: None, compression=zipfile.ZIP_DEFLATED)
    assert "compressed" in refused(data, tmp_path)


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    out = io.BytesIO(packed(examples()["point"]))
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(out, "a") as archive:
        archive.writestr("x.bin", b"")
    refused(out.getvalue(), tmp_path)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "huge.nnrelax"
    with file.open("wb") as out:
        out.truncate(LARGEST_FILE + 1)
    with pytest.raises(CertificateError, match="larger than"):
        read_relaxed(file)


def test_texts_cannot_speak_to_a_terminal() -> None:
    attack = replace(examples()["point"], note="\x1b[31mred\n")
    assert parse_relaxed(packed(attack)).note == "?[31mred?"


def test_changed_bytes_are_read_as_something_or_refused_but_never_crash() -> None:
    data = bytearray(packed(examples()["model"]))
    rng = np.random.default_rng(0)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(500):
        changed = bytearray(data)
        for place in rng.integers(0, len(data), int(rng.integers(1, 4))):
            changed[place] = int(rng.integers(256))
        try:
            read = parse_relaxed(bytes(changed))
            assert all(isinstance(value, Fraction) for value in read.content.values.values())
            outcomes["read"] += 1
        except CertificateError:
            outcomes["refused"] += 1
    assert outcomes["refused"] > 400
