"""Covers: known maxima, levels just above and below them, and forged files."""

from __future__ import annotations

import json
import zipfile
from fractions import Fraction

import numpy as np
import pytest

from specs.errors import CertificateError
from verifier.checking import run_checker
from verifier.relaxed_checker.checkers import NetworkChecker
from verifier.relaxed_checker.cover import OpenCell, cover
from verifier.relaxed_checker.cover_file import NoCover, prove_by_cover
from verifier.relaxed_checker.learn import write
from verifier.statistics.sampling import Box

F = Fraction
SQUARE = Box((0.0, 0.0), (1.0, 1.0))
UNIT = ((F(0), F(0)), (F(1), F(1)))


def tent(a):
    """1/2 at the point (3/4, 1/4), falling by the distance in both coordinates: its steepness is 2."""
    return F(1, 2) - abs(a[0] - F(3, 4)) - abs(a[1] - F(1, 4))


def test_a_level_above_the_maximum_is_shown():
    found = cover(tent, *UNIT, F(2), F(5, 8), 1000)
    assert found.largest <= F(1, 2)
    assert found.cells > 4
    assert found.smallest < F(1, 2)


def test_a_level_below_the_maximum_is_not():
    with pytest.raises(OpenCell) as failed:
        cover(tent, *UNIT, F(2), F(7, 16), 10_000)
    assert failed.value.attained
    assert tent(failed.value.centre) == failed.value.score > F(7, 16)


def test_the_maximum_itself_is_never_shown():
    """If the top is no corner of a cell, none around it is small enough: the search ends with its number of cells."""

    def aside(a):
        return tent((a[0] + F(1, 12), a[1] + F(1, 12)))

    with pytest.raises(OpenCell) as failed:
        cover(aside, *UNIT, F(2), F(1, 2), 200)
    assert not failed.value.attained


def test_cells_are_all_of_the_box():
    """Every point of a grid is within half a cell's side of a centre that was looked at."""
    seen = []
    cover(lambda a: seen.append(a) or tent(a), *UNIT, F(2), F(3, 4), 1000)
    for x in np.linspace(0, 1, 17):
        for y in np.linspace(0, 1, 17):
            point = (F(x), F(y))
            assert any(tent(c) + 2 * max(abs(p - v) for p, v in zip(point, c)) <= F(3, 4) for c in seen)


def peaked(folder):
    """The tent as a network, its top at (0.7, 0.3), which is no corner of a cell."""
    weight = np.array([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]])
    bias = np.array([-0.7, 0.7, -0.3, 0.3])
    write(folder / "tent.onnx", [(weight, bias), (-np.ones((4, 1)), np.array([0.5]))])
    return NetworkChecker(folder / "tent.onnx")


@pytest.fixture(scope="module")
def proved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cover")
    found = prove_by_cover(peaked(folder), SQUARE, F(5, 8), F(4), folder / "tent.nncover")
    return folder / "tent.nncover", found


def check(file):
    return run_checker(file, None, None, False, {})


def test_a_network_is_covered_and_the_file_is_accepted(proved):
    file, found = proved
    assert found.covered.largest <= F(1, 2)
    result = check(file)
    assert result.accepted
    assert result.leaves == found.covered.cells
    assert "CLASS sound" in found.claim
    assert result.reason == found.claim
    assert run_checker(file, file.with_name("tent.onnx"), None, False, {})
    with pytest.raises(CertificateError, match="states its own question"):
        run_checker(file, None, file, False, {})


def test_what_is_exceeded_or_steeper_is_told(tmp_path):
    checker = peaked(tmp_path)
    with pytest.raises(NoCover, match="exceeded") as failed:
        prove_by_cover(checker, SQUARE, F(1, 4), F(4), tmp_path / "x")
    assert checker.guide(failed.value.state) > 0.25
    with pytest.raises(NoCover, match="not shown to sum"):
        prove_by_cover(checker, SQUARE, F(5, 8), F(1), tmp_path / "x", seconds=5)
    assert not (tmp_path / "x").exists()


FORGED = {
    "a lower level": {"level": "3/8"},
    "the maximum": {"level": "1/2"},
    "less steepness": {"steepness": "1"},
    "a little less steepness": {"steepness": "3999/1000"},
    "no steepness": {"steepness": "0"},
    "a larger box": {"upper": [(2.0).hex(), (1.0).hex()]},
    "a smaller box": {"upper": [(0.5).hex(), (1.0).hex()]},
    "another box": {"lower": [(-1.0).hex(), (0.0).hex()], "upper": [(0.0).hex(), (1.0).hex()]},
    "a box of one side": {"lower": [(0.0).hex()], "upper": [(1.0).hex()]},
    "a box upside down": {"lower": [(1.0).hex(), (0.0).hex()], "upper": [(0.0).hex(), (1.0).hex()]},
    "an endless box": {"upper": ["inf", (1.0).hex()]},
    "another format": {"format": "nncert"},
    "another version": {"version": 2},
    "a level that is no number": {"level": "much"},
    "a key more": {"note": ""},
}


def rewritten(file, target, manifest=None, **members):
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    told = {**json.loads(parts["cover.json"]), **(manifest or {})}
    parts = {**parts, "cover.json": json.dumps(told).encode(), **{f"{k}": v for k, v in members.items()}}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return target


def refused(file) -> bool:
    try:
        return not check(file).accepted
    except CertificateError:
        return True


@pytest.mark.parametrize("which", FORGED)
def test_forged_covers_are_refused(proved, tmp_path, which):
    assert refused(rewritten(proved[0], tmp_path / "forged.nncover", FORGED[which]))


def test_another_network_is_refused(proved, tmp_path):
    """The same network with its top a little higher has the derivatives of the certificate, but not its weights."""
    weight = np.array([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -1.0]])
    bias = np.array([-0.7, 0.7, -0.3, 0.3])
    write(tmp_path / "other.onnx", [(2 * weight, 2 * bias), (-np.ones((4, 1)), np.array([0.5]))])
    members = {"relaxed.onnx": (tmp_path / "other.onnx").read_bytes()}
    assert refused(rewritten(proved[0], tmp_path / "forged.nncover", None, **members))
    assert refused(rewritten(proved[0], tmp_path / "forged.nncover", None, **{"steep.nncert": b"PK"}))
    assert refused(rewritten(proved[0], tmp_path / "forged.nncover", None, more=b""))
    assert not refused(rewritten(proved[0], tmp_path / "same.nncover"))
