"""Networks of the competition: CROWN of auto_LiRPA, on the operators as they were loaded, and ours are equal."""

from __future__ import annotations

import numpy as np
import pytest

from bench.instances import find_instances
from relaxations.peers.auto_lirpa import installed
from relaxations.peers.comparing import compare
from specs.language.vnnlib.compile import compile_vnnlib
from specs.language.vnnlib.reader import read_vnnlib
from specs.loading import load_model
from verifier.engine.floats import float_rows

pytestmark = [pytest.mark.shared, pytest.mark.peer]
if not installed():
    pytest.skip("auto_LiRPA is not installed", allow_module_level=True)
pytest.importorskip("torch")

CHOSEN = {"acasxu": r"1_1.*prop_[1-4]\.", "mnist_fc": r"256x[26].*prop_0_0\.05", "cifar10_resnet": r"2b.*prop_0_"}


@pytest.mark.parametrize("name", CHOSEN)
def test_crown_is_the_same(name, benchmarks_dir):
    if not (benchmarks_dir / name).is_dir():
        pytest.skip(f"there is no {name} in the benchmark data")
    for instance in find_instances(benchmarks_dir, [name], CHOSEN[name]):
        graph = load_model(instance.model_path)
        for case in compile_vnnlib(read_vnnlib(instance.spec_path), graph).cases[:1]:
            rows = float_rows(case, graph.input_size, graph.output_size)
            low, up = (np.array([float(v) for v in side]) for side in (case.box.lower, case.box.upper))
            both = compare(graph, rows, low, up, methods=("IBP", "CROWN-IBP", "CROWN"), samples=8)
            assert not both.failures
            assert both.contradictions == ()
            assert both.difference("CROWN") <= 1e-9  # float64, and 1,500 to 6,000 neurons on the way
            assert both.difference("CROWN-IBP") <= 1e-9
            assert (both.ours["IBP"] >= both.theirs["IBP"] - both.rounding).all()
