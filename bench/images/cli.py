"""``certify bench images``: a benchmark folder from a classifier, images and a distance."""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
from collections.abc import Sequence
from fractions import Fraction
from math import prod
from pathlib import Path

import numpy as np

from bench.arguments import answered, count, positive
from bench.exit_codes import OK
from bench.images.queries import query
from specs.errors import SpecError
from specs.loading.onnx import load_onnx


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0; 2 usage or unreadable input, and nothing is written then."""
    return answered(_parser(), _run, argv)


def _run(options: argparse.Namespace) -> int:
    graph = load_onnx(options.model)
    images, labels = _images(options.data, graph.input_size, graph.output_size)
    images, labels = images[: options.first], labels[: options.first]
    clip = None if options.clip is None else (options.clip[0], options.clip[1])
    queries = []
    for i, (image, label) in enumerate(zip(images, labels)):
        try:
            queries.append(query(image, int(label), graph.output_size, options.eps, clip))
        except ValueError as error:
            raise SpecError(f"image {i} {error}", options.data) from error
    folder = options.folder
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise SpecError(f"cannot be made: {error.strerror}; name a new folder", folder) from error
    shutil.copyfile(options.model, folder / options.model.name)
    with (folder / "instances.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(("onnx", "vnnlib", "timeout_s", "expected"))
        for i, text in enumerate(queries):
            (folder / f"image_{i}.vnnlib").write_text(text, encoding="utf-8")
            table.writerow((options.model.name, f"image_{i}.vnnlib", f"{options.timeout:g}", "unknown"))
    print(f"{len(queries)} instance(s) in {folder}")
    return OK


def _images(data: Path, inputs: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Images ``X`` (N, ...) and labels ``y`` (N,) of an .npz file; raises ``SpecError`` where they do not fit."""
    try:
        with np.load(data, allow_pickle=False) as arrays:
            images, labels = arrays["X"], arrays["y"]
    except KeyError:
        raise SpecError("must hold the arrays X (images) and y (labels)", data) from None
    except Exception as error:  # the readers of archives and arrays fail in many ways
        raise SpecError(f"cannot be read as an .npz file: {error}", data) from error
    if images.ndim < 2 or labels.shape != images.shape[:1]:
        raise SpecError(f"X has the shape {images.shape} and y {labels.shape}; one label for each image", data)
    if images.dtype.kind != "f":
        raise SpecError(f"X holds {images.dtype} values; give the pixels as floats in the model's units", data)
    if prod(images.shape[1:]) != inputs:
        raise SpecError(f"an image has {prod(images.shape[1:])} pixels, but the model has {inputs} inputs", data)
    if labels.dtype.kind not in "iu" or (len(labels) and not 0 <= labels.min() <= labels.max() < classes):
        raise SpecError(f"y must hold integers from 0 to {classes - 1}, one class for each output of the model", data)
    return images, labels


def _distance(text: str) -> Fraction:
    value = _fraction(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must not be negative, got {text}")
    return value


def _fraction(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"must be a number such as 0.3 or 2/255, got {text}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="certify bench images",
        description="Write a benchmark folder: for each image, does the classifier keep its label in the whole ball?",
        epilog="Exit codes: 0 done, 2 usage or unreadable input. An image that is misclassified is violated at once.",
    )
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL.onnx", help="one output for each class")
    add("data", type=Path, metavar="DATA.npz", help="arrays X (images, in the model's units) and y (labels)")
    add("folder", type=Path, metavar="FOLDER", help="where the benchmark goes; it must not exist")
    add("--eps", type=_distance, required=True, metavar="E", help="radius in the maximum norm, such as 0.3 or 2/255")
    add("--clip", type=_fraction, nargs=2, metavar=("LOW", "HIGH"), help="the range of the pixels, such as 0 1")
    add("--first", type=count, metavar="N", help="only the first N images")
    add("--timeout", type=positive, default=60.0, metavar="S", help="seconds listed for every instance (60)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
