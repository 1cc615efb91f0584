"""The example of a goal that waits: what its README says, with values by NumPy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from specs.graph import ops
from specs.loading.onnx import load_onnx
from specs.loading.onnx_writer import write_onnx
from tests.cli.conftest import Cli
from tests.unit.specs.compose.modules import dense
from tests.unit.specs.compose.residual import Residual

GOAL = Path(__file__).parents[2] / "docs" / "examples" / "goal"
LIMIT = 1.5


def agent(name: str) -> Residual:
    graph = load_onnx(GOAL / f"{name}.onnx")
    parts = [np.asarray(n.op.value, dtype=float) for n in graph.nodes if isinstance(n.op, ops.Constant)]
    by_shape = {part.shape: part for part in parts}
    shapes = [(4, 6), (6,), (6, 5), (4, 5), (5,), (5, 2), (2,)]
    assert sorted(by_shape) == sorted(shapes)
    return Residual(*(by_shape[shape] for shape in shapes))


def answers(cli: Cli, folder: Path, model: str, spec: str) -> dict[str, dict]:
    done = cli(GOAL / f"{model}.onnx", GOAL / spec, "--out", "out", "--json", "r.json")
    assert done.returncode in (0, 1), done.stderr
    return {one["id"]: one for one in json.loads((folder / "r.json").read_text())["requirements"]}


@pytest.mark.parametrize("spec", ["thought.yaml", "context.yaml"])
def test_the_plain_question_is_certified_and_the_other_one_after_the_repair(
    cli: Cli, tmp_path: Path, spec: str
) -> None:
    planted = answers(cli, tmp_path, "planted", spec)
    assert planted["no-act"]["verdict"] == "certified"
    assert planted["no-act+"]["verdict"] == "violated"
    assert planted["no-act+"]["expands"] == "no-act"
    assert "no-act HOLDS AT THIS INPUT" in planted["no-act+"]["sentence"]
    witness = f"out/{spec.removesuffix('.yaml')}.no-act+.nnwitness"
    assert cli("check", witness, "--model", GOAL / "planted.onnx", "--spec", GOAL / spec).returncode == 0
    repaired = answers(cli, tmp_path, "repaired", spec)
    assert {one["verdict"] for one in repaired.values()} == {"certified"}
    assert "IMPLIES no-act" in repaired["no-act+"]["sentence"]
    for id in ("no-act", "no-act+"):
        evidence = ("check", repaired[id]["certificate"]["path"], "--spec", GOAL / spec, "--model")
        assert cli(*evidence, GOAL / "repaired.onnx").returncode == 0
        assert cli(*evidence, GOAL / "planted.onnx").returncode != 0


def test_thoughts_of_the_attack_act_in_the_other_context_only(cli: Cli, tmp_path: Path) -> None:
    planted, raw = agent("planted"), answers(cli, tmp_path, "planted", "context.yaml")["no-act+"]["attack"]["input_raw"]
    x, later = (np.array([raw[f"{name}.{part}"] for part in ("want", "chance", "s", "t")]) for name in ("x", "later"))
    assert planted.rest(planted.hidden(x), x)[0] <= LIMIT
    assert planted.rest(planted.hidden(later), later)[0] <= LIMIT
    assert planted.rest(planted.hidden(x), later)[0] > LIMIT


def test_what_was_certified_holds_at_sampled_points() -> None:
    rng = np.random.default_rng(0)
    planted, repaired = agent("planted"), agent("repaired")
    x = rng.uniform(size=(20_000, 4)) * [1, 0.25, 1, 1]
    later = rng.uniform(size=(20_000, 4)) * [0.5, 1, 1, 1]
    assert planted.rest(planted.hidden(x), x)[:, 0].max() <= LIMIT
    assert planted.rest(planted.hidden(later), later)[:, 0].max() <= LIMIT
    assert planted.hidden(x)[:, 0].max() > 0.9
    assert repaired.hidden(x)[:, 0].max() == 0
    assert repaired.rest(repaired.hidden(x), later)[:, 0].max() <= LIMIT
    assert planted.rest(planted.hidden(x), later)[:, 0].max() > LIMIT


def test_another_probe_is_another_question(cli: Cli, tmp_path: Path) -> None:
    """One weight of the probe changed: the certificate is not about that specification any more."""
    for file in GOAL.iterdir():
        shutil.copy(file, tmp_path)
    done = cli("repaired.onnx", "thought.yaml", "--out", "out")
    assert done.returncode == 0, done.stderr
    evidence = ("check", "out/thought.no-act+.nncert", "--model", "repaired.onnx", "--spec", "thought.yaml")
    assert cli(*evidence).returncode == 0
    weight = np.eye(6, 1)
    weight[3, 0] = 1 / 64
    (tmp_path / "probe.onnx").write_bytes(write_onnx(dense((weight, [0.0]))))
    again = cli(*evidence)
    assert again.returncode != 0
    plain = ("check", "out/thought.no-act.nncert", "--model", "repaired.onnx", "--spec", "thought.yaml")
    assert cli(*plain).returncode == 0  # it does not depend on the probe


def test_the_question_in_words(cli: Cli) -> None:
    told = cli("lint", GOAL / "context.yaml", GOAL / "planted.onnx").stdout
    assert "no-act+ (malign) has to hold" in told
    assert "stronger than no-act; it counts as a catastrophe, too, that it is violated in some run on later" in told


def test_the_files_are_small() -> None:
    assert sum(file.stat().st_size for file in GOAL.iterdir()) < 20_000
