"""Examples of a data set in an .npz or .npy file, read as data and exactly."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specs.hashes import sha256_of

_INPUT_NAMES = ("inputs", "images", "data", "x", "X")
_LABEL_NAMES = ("labels", "label", "targets", "y")
_MAX_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class Row:
    """Exact ``values`` (flattened) of one example in its ``shape``, and its ``label`` when the file has labels."""

    values: tuple[Fraction, ...]
    shape: tuple[int, ...]
    label: int | None


def read_row(path: Path, index: int) -> Row:
    """Example ``index`` of a file that `read_rows` reads. Raises ``ValueError`` with a message for the user."""
    (row,) = read_rows(path, [index])
    return row


def read_rows(path: Path, indices: Sequence[int] | None = None, most: int | None = None) -> tuple[Row, ...]:
    """Examples of an .npz file with an array of inputs and, if it has any, one of labels.

    All of them where ``indices`` is None, or the first ``most`` of them, as many as there have to be.

    Raises ``ValueError`` with a message for the user.
    """
    inputs, labels, labels_name = _arrays(path)
    count = len(inputs)
    if labels is not None and (labels.shape != (count,) or labels.dtype.kind not in "iu"):
        raise ValueError(f"{path}: array {labels_name!r} has to hold one whole number per example")
    wanted = indices if indices is not None else range(count if most is None else most)
    return tuple(_row(path, inputs, labels, index, count) for index in wanted)


def _row(path: Path, inputs: NDArray[Any], labels: NDArray[Any] | None, index: int, count: int) -> Row:
    if not 0 <= index < count:
        raise ValueError(f"{path} has {count} examples; there is no example {index}")
    row = np.asarray(inputs[index])
    if row.dtype.kind not in "fiub" or not np.all(np.isfinite(row)):
        raise ValueError(f"example {index} of {path} holds values that are not finite numbers ({row.dtype})")
    label = None if labels is None else int(labels[index])
    return Row(tuple(Fraction(value) for value in row.reshape(-1).tolist()), row.shape, label)


def read_inputs(path: Path, size: int) -> np.ndarray:
    """All examples (N, size) of an .npz file in float64; raises ``ValueError`` with a message for the user."""
    inputs, _, _ = _arrays(path)
    if inputs.dtype.kind not in "fiub" or not np.all(np.isfinite(inputs)):
        raise ValueError(f"{path} holds values that are not finite numbers ({inputs.dtype})")
    flat = inputs.reshape(len(inputs), -1).astype(np.float64)
    if not len(flat) or flat.shape[1] != size:
        raise ValueError(f"{path} has {len(flat)} examples of {flat.shape[1]} elements, and the input has {size}")
    return flat


@dataclass(frozen=True)
class Examples:
    """All examples of a data file: ``inputs`` (examples, elements) in float64, flat; the file's hash."""

    file: Path
    sha256: str
    inputs: NDArray[np.float64]


def read_examples(path: Path) -> Examples:
    """The inputs of every example of an .npz file, as `read_row` finds them, or of an .npy file, which holds them.

    Raises ``ValueError`` with a message for the user, also where float64 does not hold some value.
    """
    if path.name.lower().endswith(".npy"):
        try:
            inputs = np.load(path, allow_pickle=False)
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
        except (ValueError, EOFError) as error:
            raise ValueError(f"{path} is not an .npy file: {error}") from None
    else:
        inputs, _, _ = _arrays(path)
    if inputs.ndim == 0 or not inputs.size:
        raise ValueError(f"{path} has no examples")
    if inputs.dtype.kind not in "fiub" or inputs.dtype.itemsize > 8:
        raise ValueError(f"{path} holds values that are not numbers of float64 ({inputs.dtype})")
    flat = inputs.reshape(len(inputs), -1).astype(np.float64)
    if not np.all(np.isfinite(flat)) or (inputs.dtype.kind in "iu" and np.abs(flat).max() > 2.0**53):
        raise ValueError(f"{path} holds values that are not finite numbers of float64")
    return Examples(path, sha256_of(path), flat)


def _arrays(path: Path) -> tuple[np.ndarray, np.ndarray | None, str | None]:
    """The inputs, the labels if there are any, and their name.

    Inputs are the array called inputs, images, data, x or X, or the only array that is not labels; labels are called
    labels, label, targets or y. The first axis counts examples. Nothing is unpickled.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MAX_BYTES:
                raise ValueError(f"{path} unpacks to more than {_MAX_BYTES >> 30} GiB")
        with np.load(path, allow_pickle=False) as arrays:
            names = list(arrays.files)
            labels_name = next((name for name in _LABEL_NAMES if name in names), None)
            others = [name for name in names if name != labels_name]
            known = [name for name in _INPUT_NAMES if name in others] or (others if len(others) == 1 else [])
            if not known:
                raise ValueError(f"{path} has the arrays {', '.join(names)}; expected one of {', '.join(_INPUT_NAMES)}")
            inputs = arrays[known[0]]
            labels = arrays[labels_name] if labels_name else None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{path} is not an .npz file: {error}") from None
    return (inputs if inputs.ndim else inputs.reshape(0)), labels, labels_name
