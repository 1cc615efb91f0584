"""Benchmark folders from images: the ball that is written, and what it is refused for."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bench.cli import main
from bench.images.queries import query
from specs.language.vnnlib.compile import compile_vnnlib
from specs.language.vnnlib.reader import read_vnnlib
from specs.loading.onnx import load_onnx
from tests.oracle.files import Layer, TinyNet, write_onnx


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Two inputs, three classes."""
    weight = np.array([[1, 0], [0, 1], [-1, -1]], dtype=np.float32)
    return write_onnx(TinyNet(2, (Layer(weight, np.zeros(3, dtype=np.float32)),)), tmp_path / "model.onnx")


def saved(folder: Path, images: object, labels: object) -> Path:
    path = folder / "data.npz"
    np.savez(path, X=np.array(images), y=np.array(labels))
    return path


def test_the_box_holds_the_ball_cut_to_the_range_and_little_more(tmp_path: Path, model: Path) -> None:
    image, eps = np.array([[0.1, 0.95]], dtype=np.float32), Fraction(2, 255)
    path = tmp_path / "query.vnnlib"
    path.write_text(query(image, 1, 3, eps, (Fraction(0), Fraction(24, 25))), encoding="utf-8")
    [one, other] = compile_vnnlib(read_vnnlib(path), load_onnx(model)).cases
    assert one.box == other.box
    exact = [Fraction(float(pixel)) for pixel in image[0]]
    true = [(exact[0] - eps, exact[0] + eps), (exact[1] - eps, min(exact[1] + eps, Fraction(24, 25)))]
    for (low, up), lower, upper in zip(true, one.box.lower, one.box.upper, strict=True):
        assert low - Fraction(1, 10**12) < lower <= low
        assert up <= upper < up + Fraction(1, 10**12)


@pytest.mark.parametrize("label", range(3))
def test_the_violation_is_any_other_class_at_least_as_high(tmp_path: Path, model: Path, label: int) -> None:
    path = tmp_path / "query.vnnlib"
    path.write_text(query(np.zeros(2), label, 3, Fraction(1), None), encoding="utf-8")
    problem = compile_vnnlib(read_vnnlib(path), load_onnx(model))
    rng = np.random.default_rng(label)
    for y in [*rng.normal(size=(20, 3)), np.zeros(3)]:
        assert len(problem.cases) == 2
        violated = [
            all(sum(float(v) * y[i] for i, v in row.y) + float(row.constant) <= 0 for row in case.any_of)
            for case in problem.cases
        ]
        assert any(violated) == (max(np.delete(y, label)) >= y[label])


@pytest.mark.parametrize("value", ["-0.5", "1/3", "0"])
def test_a_bound_is_rounded_outward_on_either_side_of_zero(value: str) -> None:
    text = query(np.array([float(Fraction(value))]), 0, 2, Fraction(1, 7), None)
    low, up = (Fraction(line.split()[-1].rstrip(")")) for line in text.splitlines() if "= X_0 " in line)
    center = Fraction(float(Fraction(value)))
    assert low <= center - Fraction(1, 7)
    assert center + Fraction(1, 7) <= up
    assert up - low < Fraction(2, 7) + Fraction(2, 10**12)


def test_a_folder_that_the_runner_reads_and_decides(tmp_path: Path, model: Path) -> None:
    data = saved(tmp_path, np.array([[0.9, 0.1], [0.5, 0.45], [0.1, 0.9]], dtype=np.float32), [0, 0, 0])
    folder, results = tmp_path / "folder", tmp_path / "results.csv"
    assert main(["images", str(model), str(data), str(folder), "--eps", "1/10", "--clip", "0", "1"]) == 0
    assert main([str(folder), "--timeout", "20", "--out", str(results), "-q"]) == 0
    with results.open(encoding="utf-8") as stream:
        assert [row["verdict"] for row in csv.DictReader(stream)] == ["certified", "violated", "violated"]


def test_only_the_first_images(tmp_path: Path, model: Path) -> None:
    data = saved(tmp_path, np.zeros((3, 2), dtype=np.float32), [0, 1, 2])
    folder = tmp_path / "folder"
    assert main(["images", str(model), str(data), str(folder), "--eps", "0", "--first", "2"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "image_0.vnnlib", "image_1.vnnlib", "instances.csv", "model.onnx",
    ]  # fmt: skip


IMAGES = np.zeros((1, 2), dtype=np.float32)


@pytest.mark.parametrize(
    ("images", "labels", "options", "complaint"),
    [
        (IMAGES, [0, 1], (), "one label for each image"),
        (np.zeros((1, 3), dtype=np.float32), [0], (), "an image has 3 pixels, but the model has 2 inputs"),
        (IMAGES.astype(np.uint8), [0], (), "uint8"),
        (IMAGES, [3], (), "integers from 0 to 2"),
        (IMAGES, [0.0], (), "integers from 0 to 2"),
        (IMAGES * np.nan, [0], (), "image 0 has pixels that are not finite"),
        (IMAGES + 2, [0], ("--clip", "0", "1"), "image 0 pixel 0 is 2.0"),
        (IMAGES, [0], ("--eps", "1/0"), "must be a number"),
        (IMAGES, [0], ("--eps", "-1"), "must not be negative"),
    ],
)
def test_what_does_not_fit_is_one_error_and_nothing_is_written(
    tmp_path: Path,
    model: Path,
    capsys: pytest.CaptureFixture[str],
    images: np.ndarray,
    labels: list[int],
    options: tuple[str, ...],
    complaint: str,
) -> None:
    folder = tmp_path / "folder"
    argv = ["images", str(model), str(saved(tmp_path, images, labels)), str(folder), "--eps=1/10", *options]
    assert main(argv) == 2
    assert complaint in capsys.readouterr().err
    assert not folder.exists()


def test_what_is_no_archive_and_a_folder_that_is_there(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["images", str(model), str(model), str(tmp_path / "folder"), "--eps", "1"]
    assert main(argv) == 2
    assert "cannot be read as an .npz file" in capsys.readouterr().err
    argv[2:4] = [str(saved(tmp_path, IMAGES, [0])), str(tmp_path)]
    assert main(argv) == 2
    assert "name a new folder" in capsys.readouterr().err
