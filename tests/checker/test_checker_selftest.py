"""The self-test passes here, and notices arithmetic that is not what the proofs assume."""

from __future__ import annotations

import time

import numpy as np
import pytest

from verifier.checker import selftest
from verifier.checker.errors import CheckError


def test_this_machine_passes_quickly() -> None:
    selftest.self_test()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        selftest.self_test()
        times.append(time.perf_counter() - start)
    assert min(times) < 0.02  # 2 ms on an idle core


def test_reduced_precision_products_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = np.matmul
    monkeypatch.setattr(np, "matmul", lambda a, b: exact(a.astype(np.float32), b.astype(np.float32)))
    with pytest.raises(CheckError, match="product of integers"):
        selftest.self_test()


def test_one_wrong_unit_in_the_last_place_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = np.matmul

    def off_by_one(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        product = exact(a, b)
        product.flat[-1] = np.nextafter(product.flat[-1], np.inf)
        return product

    monkeypatch.setattr(np, "matmul", off_by_one)
    with pytest.raises(CheckError, match="product of integers"):
        selftest.self_test()


def test_another_rounding_mode_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(np, "nextafter", lambda x, towards: x)
    with pytest.raises(CheckError, match="nextafter"):
        selftest.self_test()
