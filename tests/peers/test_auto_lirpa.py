"""Our bounds against those of auto_LiRPA, and both against values that are attained and exact optima."""

from __future__ import annotations

import logging
import os
import sys
import warnings

import numpy as np
import pytest

from relaxations.bounds.boxes import BoxBounder
from relaxations.lowering import lower
from relaxations.peers.auto_lirpa import METHODS, PeerError, bounds_by_method, installed, lower_bounds
from relaxations.peers.comparing import compare, own_bounds
from relaxations.peers.probe import probe, tiny_networks
from specs.graph import ops
from specs.language.vnnlib.compile import compile_vnnlib
from specs.language.vnnlib.reader import read_vnnlib
from specs.loading import load_model
from tests import strategies
from tests.peers.networks import PIECEWISE, Drawn, dense, question
from verifier.engine.floats import float_rows

pytestmark = pytest.mark.peer
if not installed():
    pytest.skip("auto_LiRPA is not installed", allow_module_level=True)
torch = pytest.importorskip("torch")

RELATIVE = 1e-5  # of CROWN, in either precision


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", PIECEWISE)
def test_layers_have_the_same_bounds(kind, seed, dtype):
    graph = PIECEWISE[kind](seed)
    rows, low, up = question(graph, seed)
    both = compare(lower(graph), rows, low, up, dtype=dtype)
    assert not both.failures
    assert both.contradictions == ()
    assert np.abs(both.ours["IBP"] - both.theirs["IBP"]).max() <= both.rounding
    for method in ("IBP", "CROWN-IBP", "CROWN"):
        assert both.difference(method) <= (RELATIVE if dtype == "float32" else 1e-12), method


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", PIECEWISE)
def test_operators_handed_over_one_by_one_have_the_same_crown(kind, seed):
    """Substitution goes through affine operators exactly, so that composing them first changes nothing but IBP."""
    graph = PIECEWISE[kind](seed)
    rows, low, up = question(graph, seed)
    both = compare(graph, rows, low, up)
    assert not both.failures
    assert both.contradictions == ()
    assert both.difference("CROWN") <= 1e-12
    assert both.difference("CROWN-IBP") <= 1e-12
    assert (both.ours["IBP"] >= both.theirs["IBP"] - both.rounding).all()


def test_constants_that_are_broadcast_over_rows_of_images():
    """A shifted and scaled input with leading axes of size 1, as networks of the benchmarks have it."""
    drawn = Drawn(0, (1, 1, 1, 5))
    drawn.then(ops.Sub(), drawn.weight(1, 1, 1, 5))
    drawn.then(ops.Mul(), drawn.weight(1))
    drawn.flat()
    for width in (6, 6):
        drawn.linear(width)
        drawn.then(ops.Relu())
    drawn.linear(3)
    graph = drawn.graph()
    rows, low, up = question(graph, 0)
    both = compare(graph, rows, low, up)
    assert not both.failures
    assert both.contradictions == ()
    assert both.difference("CROWN") <= 1e-12


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", PIECEWISE)
def test_optimised_bounds_are_no_looser_on_either_side(kind, seed):
    graph = PIECEWISE[kind](seed)
    rows, low, up = question(graph, seed, radius=0.4)
    both = compare(graph, rows, low, up, methods=("CROWN", "CROWN-Optimized"), samples=1000)
    for bounds in (both.ours, both.theirs):
        assert (bounds["CROWN-Optimized"] >= bounds["CROWN"] - both.rounding).all()
        assert (bounds["CROWN-Optimized"] <= both.attained + both.rounding).all()


def test_both_ascents_find_something_on_open_boxes():
    """On boxes that leave many ReLUs open, optimised slopes gain on CROWN for both."""
    gains = []
    for seed in range(6):
        graph = PIECEWISE["dense"](seed)
        rows, low, up = question(graph, seed, radius=0.5)
        both = compare(graph, rows, low, up, methods=("CROWN", "CROWN-Optimized"))
        gains.append([(b["CROWN-Optimized"] - b["CROWN"]).sum() for b in (both.ours, both.theirs)])
    assert (np.sum(gains, axis=0) > 0).all()


@pytest.mark.parametrize(
    "activation", [ops.Sigmoid(), ops.Tanh(), ops.LeakyRelu(0.1)], ids=lambda op: type(op).__name__
)
def test_other_activations_contain_what_is_attained(activation):
    graph = dense(0, activation)
    for radius in (0.1, 0.5):
        rows, low, up = question(graph, 1, radius)
        both = compare(graph, rows, low, up, samples=1000)
        assert not both.failures
        assert both.contradictions == ()
        assert (both.theirs["CROWN-Optimized"] >= both.theirs["CROWN"] - both.rounding).all()


def test_a_hundred_questions_with_known_optima(tmp_path):
    """No bound of either side exceeds the exact optimum: their largest is a bound of the largest row."""
    worst = 0.0
    for seed in range(100):
        asked = strategies.question(seed)
        model, spec = asked.write(tmp_path)
        graph = load_model(model)
        network, (case,) = lower(graph), compile_vnnlib(read_vnnlib(spec), graph).cases
        rows = float_rows(case, network.input_size, len(network.output.bias))
        low, up = (np.array([float(v) for v in side]) for side in (asked.lower, asked.upper))
        both = compare(network, rows, low, up, iterations=5, samples=64)
        assert not both.failures, (seed, both.failures)
        assert both.contradictions == (), seed
        for bounds in (both.ours, both.theirs):
            for method in METHODS:
                assert bounds[method].max() <= float(asked.optimum) + both.rounding, (seed, method)
        worst = max(worst, both.difference("CROWN"))
        search = BoxBounder(network, rows).bounds(low[None], up[None]).lower[0]
        assert search.max() <= float(asked.optimum) + both.rounding, seed
    assert worst <= RELATIVE


def test_a_point_has_the_bounds_of_its_value():
    """Where the box is one point, every method of either side gives the value there."""
    graph = PIECEWISE["residual"](5)
    rows, low, _ = question(graph, 5)
    both = compare(lower(graph), rows, low, low)
    for bounds in (both.ours, both.theirs):
        for method in METHODS:
            # They keep a width of 1e-8 in the divisor of a slope, which moves a line by about as much.
            assert np.abs(bounds[method] - both.attained).max() <= 1e-6, method


def test_a_wrong_bound_is_reported_as_a_contradiction():
    graph = PIECEWISE["dense"](0)
    rows, low, up = question(graph, 0)
    both = compare(graph, rows, low, up, methods=("CROWN",))
    both.theirs["CROWN"][1] = both.attained[1] + 0.1
    (said,) = both.contradictions
    assert said.startswith("auto_LiRPA, CROWN, row 1:")
    both.theirs["CROWN"][1] = np.nan
    assert len(both.contradictions) == 1


def test_a_float32_box_is_no_smaller_than_the_box():
    """Bounds over a box whose ends are no float32 numbers hold at its own corners."""
    graph = PIECEWISE["dense"](1)
    rows, low, up = question(graph, 1, radius=1e-9)
    both = compare(graph, rows, low, up, dtype="float32")
    assert both.contradictions == ()


def test_what_works_is_found_by_trying():
    found = probe()
    assert found.version == installed()
    assert set(found.outcome) == set(METHODS)
    assert all(set(tried) == set(tiny_networks()) for tried in found.outcome.values())
    assert found.works("CROWN", "dense")
    assert "CROWN" in found.summary


def test_a_failure_is_one_line_and_does_not_reach_the_next_method(monkeypatch):
    from relaxations.peers import shims

    graph = PIECEWISE["dense"](0)
    rows, low, up = question(graph, 0)
    with shims.shimmed("float64") as library:
        original = library.BoundedModule.compute_bounds

    def broken(self, *arguments, method, **options):
        if method == "CROWN-IBP":
            raise IndexError("first line\nsecond line")
        return original(self, *arguments, method=method, **options)

    monkeypatch.setattr(library.BoundedModule, "compute_bounds", broken)
    found, failures = bounds_by_method(graph, rows, low, up, ("IBP", "CROWN-IBP", "CROWN"))
    assert str(failures["CROWN-IBP"]) == f"auto_LiRPA {installed()} fails at CROWN-IBP: IndexError: first line"
    assert np.abs(found["CROWN"] - own_bounds(lower(graph), rows, low, up)["CROWN"]).max() < 1e-9
    with pytest.raises(PeerError, match="IndexError"):
        lower_bounds(graph, rows, low, up, "CROWN-IBP")


def test_the_process_is_left_as_it_was(capfd):
    import torch.onnx.symbolic_helper as helper
    from torch.onnx.utils import _optimize_graph

    settings = _optimize_graph.__globals__["GLOBALS"]

    def state():
        root = logging.getLogger()
        return (
            "numpy.lib.arraysetops" in sys.modules,
            hasattr(helper, "_set_opset_version"),
            hasattr(torch._C.Node, "__getitem__"),
            settings.export_onnx_opset_version,
            settings.autograd_inlining,
            torch.get_default_dtype(),
            torch.get_num_threads(),
            list(root.handlers),
            root.level,
            logging.root.manager.disable,
            list(warnings.filters),
            warnings.showwarning,
            sys.stdout,
            dict(os.environ),
        )

    graph = PIECEWISE["residual images"](0)
    rows, low, up = question(graph, 0)
    before = state()
    lower_bounds(graph, rows, low, up, "CROWN-Optimized")
    with pytest.raises(ZeroDivisionError):
        raise_inside()
    assert state() == before
    assert capfd.readouterr() == ("", "")


def raise_inside():
    from relaxations.peers.shims import shimmed

    with shimmed("float64"):
        raise ZeroDivisionError
