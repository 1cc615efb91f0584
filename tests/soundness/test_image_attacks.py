"""Public image networks known to fail: a first attack finds a point, onnxruntime agrees and the checker proves it."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from bench.instances import Instance, find_instances
from relaxations.lowering import lower
from specs.language.vnnlib.compile import compile_vnnlib
from specs.language.vnnlib.reader import read_vnnlib
from specs.loading import load_model
from tests.conftest import find_shared_dir
from tests.soundness.deciding import checker_of
from verifier.attack.group import GroupAttack
from verifier.attack.targets import Targets
from verifier.attack.witness import inside, replay
from verifier.checker.container import Source, Witness
from verifier.checker.witness import refute
from verifier.engine.attacks import FIRST_STARTS
from verifier.engine.deadline import Deadline
from verifier.engine.floats import float_rows

pytestmark = [pytest.mark.shared, pytest.mark.peer]
pytest.importorskip("onnxruntime")

PATTERNS = {
    "cifar_biasfield": r"prop_8\.",
    "collins_rul_cnn": r"full_window_40.*robustness_4perturbations_delta40",
    "cora_mnist": r"trades.*img0\.",
    "malbeware": r"Alueron",
    "marabou_cifar10": r"small_index596_",
    "mnist_fc": r"256x2.*prop_[04]_0.05|256x6.*prop_1_0.05",
    "oval21": r"img1909",
    "sri_resnet_a": r"idx_1551_|idx_6283_",
    "verivital": r"prop_14_0.004",
}


def instances() -> list[Instance]:
    shared = find_shared_dir()
    if shared is None:
        return []
    there = {name: pattern for name, pattern in PATTERNS.items() if (shared / "benchmarks" / name).is_dir()}
    known = [i for name, pattern in there.items() for i in find_instances(shared / "benchmarks", [name], pattern)]
    return [instance for instance in known if instance.expected == "sat"]


@pytest.mark.parametrize("instance", instances(), ids=lambda i: f"{i.benchmark}-{i.spec_path.name[:-10]}")
def test_a_first_attack_finds_the_violation(instance: Instance) -> None:
    graph = load_model(instance.model_path)
    network, cases = lower(graph), compile_vnnlib(read_vnnlib(instance.spec_path), graph).cases
    rows = [float_rows(case, network.input_size, len(network.output.bias)) for case in cases]
    low = [np.array([float(v) for v in case.box.lower]) for case in cases]
    up = [np.array([float(v) for v in case.box.upper]) for case in cases]
    targets = Targets.of(rows, low, up)
    found = GroupAttack(network, targets, FIRST_STARTS, 0, np.zeros(len(cases)), Deadline.after(60)).run()
    k, best = found[0]
    assert best.value <= 0
    model = instance.model_path.read_bytes()
    model = gzip.decompress(model) if instance.model_path.suffix == ".gz" else model
    point = inside(cases[k], best.point)
    ran = replay(model, graph, cases[k], point)
    assert ran is not None
    assert ran.violates
    nothing = Source("", "", None)
    verdict = refute(checker_of(instance.model_path, instance.spec_path), Witness(nothing, nothing, k, point, ""))
    assert verdict.accepted
    assert "float64" in verdict.reason
