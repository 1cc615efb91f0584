"""Clipping keeps every input at which all rows can fail, and never more tightly than the checker's own."""

from __future__ import annotations

import numpy as np
import pytest

from verifier.checker.boxes import AffineBound, Boxes
from verifier.checker.clip import clip as checkers_clip
from verifier.engine.clipping import clip

SEEDS = range(10)


def drawn(seed: int, boxes: int = 40, rows: int = 2, inputs: int = 3) -> tuple[np.ndarray, ...]:
    """Rows over random boxes, of which most are undecided; some coefficients are zero and some sides are points."""
    rng = np.random.default_rng(seed)
    lower = rng.normal(size=(boxes, inputs))
    upper = lower + rng.random((boxes, inputs)) * (rng.random((boxes, inputs)) < 0.9)
    form = rng.normal(size=(boxes, rows, inputs)) * (rng.random((boxes, rows, inputs)) < 0.8)
    return form, rng.normal(size=(boxes, rows)), lower, upper


@pytest.mark.parametrize("seed", SEEDS)
def test_no_input_where_all_rows_can_fail_is_lost(seed: int) -> None:
    form, at_mid, lower, upper = drawn(seed)
    low, up, nothing = clip(form, at_mid, lower, upper)
    points = (
        lower[:, None]
        + np.random.default_rng(seed).random((len(lower), 500, lower.shape[1])) * (upper - lower)[:, None]
    )
    values = np.einsum("bri,bpi->bpr", form, points - ((lower + upper) / 2)[:, None]) + at_mid[:, None]
    fails = (values <= 0).all(axis=2)
    assert fails.any()
    assert nothing.any()
    assert not (fails & nothing[:, None]).any()
    kept = ((points >= low[:, None]) & (points <= up[:, None])).all(axis=2)
    assert kept[fails].all()
    assert (~kept).any()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_checkers_box_lies_within_the_one_of_the_search(seed: int) -> None:
    """A bound the search believes on its own box then holds on the checker's, too."""
    form, at_mid, lower, upper = drawn(seed)
    low, up, nothing = clip(form, at_mid, lower, upper)
    boxes = Boxes.of(lower, upper)
    least = at_mid - (np.abs(form) * boxes.rad[:, None]).sum(axis=2)
    checkers_low, checkers_up, empty = checkers_clip(boxes, AffineBound(form, at_mid, np.zeros_like(at_mid), least))
    assert empty.any()
    assert (empty | ~nothing).all()
    assert (checkers_low >= low)[~empty].all()
    assert (checkers_up <= up)[~empty].all()


def test_a_known_box() -> None:
    """x + y <= 1 on [0, 1] x [0.75, 2] leaves x <= 1/4 and y <= 1."""
    lower, upper = np.array([[0.0, 0.75]]), np.array([[1.0, 2.0]])
    form, at_mid = np.ones((1, 1, 2)), np.array([[0.5 + 1.375 - 1]])
    low, up, nothing = clip(form, at_mid, lower, upper)
    assert not nothing.any()
    assert (low == lower).all()
    assert up[0] == pytest.approx([0.25, 1.0], abs=1e-5)
