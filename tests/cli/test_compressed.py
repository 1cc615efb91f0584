"""Every kind of file may be compressed with gzip."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "digits"


def packed(file: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    to = folder / f"{file.name}.gz"
    to.write_bytes(gzip.compress(file.read_bytes()))
    return to


def test_onnx_and_vnnlib(cli, absolute, holds, tmp_path):
    model, query = packed(absolute, tmp_path), packed(holds, tmp_path)
    assert cli(model, query, "--certificate", "p.nncert").returncode == 0
    assert cli("check", "p.nncert", "--model", model, "--spec", query).returncode == 0
    assert cli("check", "p.nncert", "--model", absolute, "--spec", query).returncode == 2  # other bytes, another file


def test_torch_export_and_yaml(cli, tmp_path):
    model, spec = packed(EXAMPLE / "digits.pt2", tmp_path), packed(EXAMPLE / "robust.yaml", tmp_path)
    for file in EXAMPLE.glob("*.npz"):
        shutil.copy(file, tmp_path)
    done = cli(model, spec, "--certificate", "p.nncert")
    assert done.returncode == 0, done.stderr + done.stdout
    assert cli("check", "p.nncert", "--model", model, "--spec", spec).returncode == 0


@pytest.mark.parametrize("order", [1, -1])
def test_damaged_data_is_one_error_that_names_the_file(cli, absolute, holds, tmp_path, order):
    model, query = packed(absolute, tmp_path), packed(holds, tmp_path)
    broken = (model, query)[::order][0]
    broken.write_bytes(broken.read_bytes()[:-12])
    done = cli(model, query)
    assert done.returncode == 2
    assert done.stderr.startswith(f"certify: error: {broken}: ")
    assert "gzip" in done.stderr
    assert done.stderr.count("\n") == 1
