"""The same with the checker in a process of its own and two workers, as users run it; and the command line on files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from specs.language.vnnlib.compile import compile_vnnlib
from specs.language.vnnlib.reader import read_vnnlib
from specs.loading import load_model
from tests.conftest import REPOSITORY
from tests.soundness.deciding import WAYS
from tests.soundness.seeds import groups, name
from tests.strategies import question
from verifier.engine import decide as decide_module
from verifier.engine.decide import Options, Question, decide

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("way", ["inputs", "both"])
@pytest.mark.parametrize("group", groups(20, 5, stream=1), ids=name)
def test_no_verdict_is_wrong_and_a_stranger_can_check_it(group: range, way: str, tmp_path: Path) -> None:
    decided = 0
    for seed in group:
        q = question(seed, placement="far" if seed % 2 else "near")
        model, query = q.write(tmp_path)
        problem = compile_vnnlib(read_vnnlib(query), load_model(model))
        certificate = tmp_path / f"{seed}.nncert"
        asked = Question(problem, model, query, "the constraints cannot be met")
        with mock.patch.multiple(decide_module, **WAYS[way]):
            outcome = decide(asked, Options(seconds=3.0, workers=2), certificate, {"name": "tests"})
        assert outcome.verdict == "unknown" or (outcome.verdict == "certified") is q.holds
        evidence = certificate if outcome.verdict == "certified" else outcome.attack.path if outcome.attack else None
        if evidence is not None and outcome.verdict != "unknown":
            decided += 1
            assert checked(evidence, "--exact", "--workers", "1") == (0, True)
    assert decided >= 2


def checked(evidence: Path, *options: str) -> tuple[int, bool]:
    """Exit code and answer of the checker's command line."""
    command = [sys.executable, "-m", "verifier.checker", str(evidence), "--json", *options]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert ran.stderr == ""
    return ran.returncode, json.loads(ran.stdout)["accepted"]
