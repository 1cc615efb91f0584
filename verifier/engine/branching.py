"""Which input to split: each rule scores every input of every open box; the highest score is split at its middle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class OpenBoxes:
    """What a rule may look at: the rows' lower bounds as coefficients (B, R, in) and values (B, R), widths (B, in)."""

    form: np.ndarray
    lower: np.ndarray
    width: np.ndarray
    root_width: np.ndarray


Rule = Callable[[OpenBoxes], np.ndarray]


def smear_root(boxes: OpenBoxes) -> np.ndarray:
    """``sum_r |A_r| * w * (w / w_root)``: smear with a root-normalised width, so that no input is starved."""
    return np.abs(boxes.form).sum(axis=1) * boxes.width * (boxes.width / boxes.root_width)


def smear(boxes: OpenBoxes) -> np.ndarray:
    """``sum_r |A_r| * w``: the classic rule of Kearfott's smear function."""
    return np.abs(boxes.form).sum(axis=1) * boxes.width


def smear_best(boxes: OpenBoxes) -> np.ndarray:
    """Root-normalised smear of the row that is closest to being proved alone."""
    best = boxes.lower.argmax(axis=1)
    return np.abs(boxes.form[np.arange(len(best)), best]) * boxes.width * (boxes.width / boxes.root_width)


def longest(boxes: OpenBoxes) -> np.ndarray:
    """The input that is widest in comparison with the root."""
    return boxes.width / boxes.root_width


RULES: dict[str, Rule] = {rule.__name__.replace("_", "-"): rule for rule in (smear_root, smear, smear_best, longest)}
