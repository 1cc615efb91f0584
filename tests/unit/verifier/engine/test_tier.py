"""The tier moves ascents to compiled programs where they are faster, and nothing that goes wrong there is felt."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from relaxations.bounds.ascent import Rates, ascend
from relaxations.bounds.dual import Duals
from specs.errors import CertifyError
from tests.conftest import REPOSITORY
from tests.unit.relaxations.ascents import bounds, dense_network, image_network, question
from verifier.api import known_device
from verifier.engine.phases import compiler, tier
from verifier.engine.phases.surroundings import cache_folder, environment
from verifier.engine.phases.tier import Place, Shape, Tier

jax = pytest.importorskip("jax")

RATES = Rates(0.2, 0.3, 0.95)
PATIENCE = 60.0


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> Tier:
    """A tier of this process that compiles at once, and prefers what it has compiled."""
    monkeypatch.setattr(tier, "WORTH_COMPILING", 0.0)
    monkeypatch.setattr(Shape, "faster", lambda shape, rows, padded: True)
    return Tier(Place("cpu", False, os.getpid()), compiles=True)


def settled(one: Tier) -> None:
    """Wait until nothing is being compiled any more."""
    deadline = time.monotonic() + PATIENCE
    while any(shape.asked and shape.program is None for shape in one.shapes.values()) and not one.failure:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def same(first: Duals, second: Duals) -> bool:
    leaves = (jax.tree_util.tree_leaves(duals) for duals in (first, second))
    return all((a == b).all() for a, b in zip(*leaves, strict=True))


def test_it_moves_to_the_program_and_finds_as_much(eager: Tier) -> None:
    asked = question(dense_network(), 7, (1,), 3)
    expected = ascend(*asked, 9, RATES)
    assert same(eager.ascend(*asked, 9, RATES), expected)  # NumPy, and a request
    settled(eager)
    assert not eager.failure
    (shape,) = eager.shapes.values()
    spent = shape.spent
    for _ in range(tier.TRIALS + 2):
        found = eager.ascend(*asked, 9, RATES)
        assert [part is None for part in found.multipliers] == [True, False, True]
        np.testing.assert_allclose(bounds(asked, found), bounds(asked, expected), atol=1e-3)
    assert shape.spent == spent  # not one of them was left to NumPy
    assert len(shape.compiled) == len(shape.plain) == tier.TRIALS


def test_one_program_serves_other_nodes_and_networks_of_the_same_shape(eager: Tier) -> None:
    first, second = (question(dense_network(), 7, (layer,), 3, seed=layer) for layer in (1, 2))
    assert first[0].layers[0].bias is not second[0].layers[0].bias
    eager.ascend(*first, 5, RATES)
    settled(eager)
    found = eager.ascend(*second, 5, RATES)
    assert len(eager.shapes) == 1
    np.testing.assert_allclose(bounds(second, found), bounds(second, ascend(*second, 5, RATES)), atol=1e-3)


def test_shapes_are_told_apart(eager: Tier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tier, "_ask", lambda *request: None)
    dense, image = dense_network(), image_network()
    whole, split, more = (question(dense, rows, layers, 3) for rows, layers in ((7, ()), (7, (0,)), (9, ())))
    inner, other = question(dense, 7, (), 2), question(image, 7, (), 2)
    for count, asked in enumerate((whole, split, more, inner, other), start=1):
        eager.ascend(*asked, 1, RATES)
        eager.ascend(*asked, 2, RATES)
        assert len(eager.shapes) == count


def test_a_program_is_used_where_it_is_faster() -> None:
    shape = Shape(plain=[4.0, 3.0, 5.0], compiled=[2.0, 2.5, 9.0])
    assert shape.tried
    assert shape.faster(8, 8)
    assert shape.faster(6, 8)  # 6 * 3 against 8 * 2
    assert not shape.faster(5, 8)
    assert not Shape(plain=[1.0] * tier.TRIALS, compiled=[2.0] * tier.TRIALS).faster(8, 8)


def test_a_slower_program_is_not_used_again(eager: Tier, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = question(dense_network(), 7, (1,), 3)
    eager.ascend(*asked, 3, RATES)
    settled(eager)
    for _ in range(tier.TRIALS):
        eager.ascend(*asked, 3, RATES)
    monkeypatch.setattr(Shape, "faster", lambda shape, rows, padded: False)
    assert same(eager.ascend(*asked, 3, RATES), ascend(*asked, 3, RATES))


def test_what_cannot_be_compiled_stays_in_numpy(eager: Tier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "find_device", _absent)
    asked = question(dense_network(), 7, (1,), 3)
    expected = ascend(*asked, 3, RATES)
    assert same(eager.ascend(*asked, 3, RATES), expected)
    settled(eager)
    assert eager.failure == "RuntimeError: no such device"
    assert not eager.compiles
    assert same(eager.ascend(*asked, 3, RATES), expected)


def _absent(name: str) -> None:
    raise RuntimeError("no such device\nand many lines more")


def test_a_program_that_fails_is_answered_by_numpy(eager: Tier, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = question(dense_network(), 7, (1,), 3)
    expected = eager.ascend(*asked, 3, RATES)
    settled(eager)
    (shape,) = eager.shapes.values()
    assert shape.program is not None
    object.__setattr__(shape.program, "run", _out_of_memory)
    assert same(eager.ascend(*asked, 3, RATES), expected)
    assert eager.failure == "MemoryError: device"


def _out_of_memory(*arguments: object) -> None:
    raise MemoryError("device")


def test_a_process_that_forks_stays_in_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tier, "WORTH_COMPILING", 0.0)
    one = tier.tier(forks=True)
    asked = question(dense_network(), 7, (), 3)
    assert same(one.ascend(*asked, 3, RATES), ascend(*asked, 3, RATES))
    assert not one.shapes
    assert pickle.loads(pickle.dumps(one)) is one


def test_a_process_of_a_pool_moves_over(tmp_path: Path) -> None:
    """Pickled there and back: the search's own process never loads JAX, the other one keeps what it has compiled."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_PLATFORMS"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "tests.unit.verifier.engine.tier_process"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["numpy", "compiled", "compiled", "clean"]
    kept = list((tmp_path / "certify" / "jax").glob("*/*"))
    assert kept  # the next process finds the program there


def test_a_device_is_one_of_those_known() -> None:
    assert [known_device(name) for name in tier.DEVICES] == ["auto", "cpu", "gpu"]
    with pytest.raises(CertifyError, match=r"unknown device 'gpus'.*gpu"):
        known_device("gpus")


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "certify"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert cache_folder() == tmp_path / ".cache" / "certify"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert cache_folder() == tmp_path / "elsewhere" / "certify"
    assert environment("cpu")["JAX_PLATFORMS"] == "cpu"
    assert "JAX_PLATFORMS" not in environment("auto")
