"""The budget is one, no question is asked twice, and the network is what the answers make of it."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest

from specs.errors import CertifyError
from specs.language.rates.surrogates import SurrogateQuestion, read_surrogates
from specs.loading import load_model
from specs.overseer.python_overseer import PythonOverseer
from verifier.interruption import Stopped
from verifier.statistics.ledger import read_lines
from verifier.surrogate.learning import Learned, learn

ALL = "[random, disagreement, attack-guided]"
JUDGE = """from pathlib import Path

def judge(x):
    with open(Path(__file__).with_name("asked"), "a") as file:
        file.write(",".join(map(repr, map(float, x))) + "\\n")
    {trouble}
    return 1 + abs(float(x[0])) - max(float(x[1]), 0)
"""


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """How well a network fits is no matter here."""
    monkeypatch.setattr("verifier.surrogate.choosing.STEPS", 20)
    monkeypatch.setattr("verifier.surrogate.learning.STEPS", 60)


def question(
    folder: Path, queries: int = 48, budget: str = "queries: 60", select: str = ALL, trouble: str = "pass"
) -> SurrogateQuestion:
    (folder / "slow.py").write_text(JUDGE.format(trouble=trouble))
    (folder / "s.yaml").write_text(
        'certify: "1.0"\nname: s\n'
        f"overseers:\n  slow: {{python: 'slow.py:judge', budget: {{{budget}}}}}\n"
        f"  fast: {{surrogate: {{of: slow, arch: [2, 16, 1], queries: {queries}, select: {select}}}}}\n"
        "inputs:\n  x: {shape: [2], box: {lo: -1, hi: 1}}\n"
        "require:\n  - {id: least, assert: 'fast(x) >= 0'}\n"
    )
    (found,) = read_surrogates(folder / "s.yaml", None, {}, load_model)
    return found


def run(folder: Path, asked: SurrogateQuestion, seconds: float = 60.0) -> Learned:
    return learn(asked, folder / "s.yaml", folder, time.monotonic() + seconds)


def questions(folder: Path) -> list[str]:
    """What the program itself was asked."""
    return (folder / "asked").read_text().splitlines()


def test_every_answer_is_in_the_ledger_and_the_network_follows_from_it(tmp_path: Path) -> None:
    learned = run(tmp_path, question(tmp_path))
    assert (learned.asked, learned.lessons, learned.answered, learned.reason) == (48, 48, 48, "")
    assert len(set(questions(tmp_path))) == len(questions(tmp_path)) == 48
    lines, _ = read_lines((tmp_path / "s.slow.ledger.jsonl").read_bytes(), "ledger")
    kinds = [line["purpose"].partition(": ")[2] for line in lines if line["kind"] == "ask"]
    assert {kind: kinds.count(kind) for kind in kinds} == {"random": 16, "disagreement": 16, "attack-guided": 16}
    graph = load_model(learned.file)
    asked = [[float.fromhex(v) for v in line["arguments"][0]] for line in lines if line["kind"] == "ask"]
    error = [float(graph.evaluate_flat(x)[0]) - (1 + abs(x[0]) - max(x[1], 0)) for x in asked]
    assert math.sqrt(np.mean(np.square(error))) == pytest.approx(learned.error, rel=1e-6)


def test_a_second_run_asks_nothing_and_trains_nothing(tmp_path: Path) -> None:
    first = run(tmp_path, question(tmp_path))
    written = first.file.stat().st_mtime_ns
    second = run(tmp_path, question(tmp_path))
    assert (second.asked, second.lessons, second.sha256, second.error) == (0, 48, first.sha256, first.error)
    assert first.file.stat().st_mtime_ns == written
    assert len(questions(tmp_path)) == 48
    first.file.unlink()
    third = run(tmp_path, question(tmp_path))
    assert (third.asked, third.sha256) == (0, first.sha256)


@pytest.mark.parametrize("ends", [(1,), (5, 20), (7, 1, 30)])
def test_after_a_kill_nothing_is_asked_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: tuple[int, ...]
) -> None:
    """Our own process ends in the middle of a question: it has been charged, and its turn is over."""
    (tmp_path / "whole").mkdir()
    whole = run(tmp_path / "whole", question(tmp_path / "whole"))
    given, ask = question(tmp_path), PythonOverseer.ask
    for end in ends:
        left = [end]

        def cut_off(self: PythonOverseer, arguments: object, seconds: float, left: list[int] = left) -> float:
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
            return ask(self, arguments, seconds)

        monkeypatch.setattr(PythonOverseer, "ask", cut_off)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, given)
    monkeypatch.setattr(PythonOverseer, "ask", ask)
    learned = run(tmp_path, given)
    assert (learned.reason, learned.lessons, learned.answered) == ("", 48, 48 - len(ends))
    assert learned.spent.queries == 48
    assert len(set(questions(tmp_path))) == len(questions(tmp_path)) == 48 - len(ends)
    assert learned.sha256 != whole.sha256  # other answers, another network


class Clock:
    """A second passes with each question."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1
        return self.now


def test_a_stop_between_questions_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "whole").mkdir()
    whole = run(tmp_path / "whole", question(tmp_path / "whole"))
    given = question(tmp_path)
    for known in (11, 22, 33, 44, 48):
        monkeypatch.setattr("verifier.surrogate.learning.time", Clock())
        learned = learn(given, tmp_path / "s.yaml", tmp_path, 11.0)
        told = f"timeout: {known} of 48 questions to learn fast from were asked; the same command goes on"
        assert learned.reason == ("" if known == 48 else told)
        assert len(set(questions(tmp_path))) == len(questions(tmp_path)) == known
    assert questions(tmp_path) == questions(tmp_path / "whole")
    assert learned.sha256 == whole.sha256


def test_the_budget_is_never_exceeded(tmp_path: Path) -> None:
    cost = question(tmp_path, budget="queries: 60, unit_cost: 2, cost: 61")
    for _ in range(2):
        learned = run(tmp_path, cost)
        assert learned.reason.startswith("budget: 30 of 48 questions")
        assert learned.spent.queries == len(questions(tmp_path)) == 30
    assert not list(tmp_path.glob("*.onnx"))


def test_questions_without_an_answer_count_and_teach_nothing(tmp_path: Path) -> None:
    learned = run(tmp_path, question(tmp_path, 24, trouble="assert x[0] < 0.5, 'no opinion'"))
    assert learned.reason == ""
    refused = sum(float(line.split(",")[0]) >= 0.5 for line in questions(tmp_path))
    assert 0 < refused == 24 - learned.answered
    assert learned.spent.queries == 24


def test_a_program_that_never_answers_teaches_nothing(tmp_path: Path) -> None:
    learned = run(tmp_path, question(tmp_path, 8, trouble="raise ValueError"))
    assert learned.reason.startswith("answers: slow gave 0 numbers")
    assert learned.spent.queries == 8


def test_a_network_that_was_changed_is_refused(tmp_path: Path) -> None:
    learned = run(tmp_path, question(tmp_path))
    data = bytearray(learned.file.read_bytes())
    data[-40] ^= 1
    learned.file.write_bytes(bytes(data))
    with pytest.raises(CertifyError, match="was changed since it was learned"):
        run(tmp_path, question(tmp_path))


def test_another_program_needs_another_ledger(tmp_path: Path) -> None:
    run(tmp_path, question(tmp_path))
    with pytest.raises(CertifyError, match="another source; --out names another folder"):
        run(tmp_path, question(tmp_path, trouble="x = x + 0"))


def test_a_ledger_of_its_own_is_one_budget_for_all_folders(tmp_path: Path) -> None:
    given = question(tmp_path)
    (tmp_path / "s.yaml").write_text((tmp_path / "s.yaml").read_text().replace("judge'", "judge', cache: kept/ledger"))
    (given,) = read_surrogates(tmp_path / "s.yaml", None, {}, load_model)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        learned = learn(given, tmp_path / "s.yaml", tmp_path / name, time.monotonic() + 60)
        assert learned.file.parent == tmp_path / name
        assert learned.spent.queries == 48
    assert (tmp_path / "kept" / "ledger").is_file()
    assert json.loads((tmp_path / "b" / "s.fast.json").read_text())["lessons"] == 48


def test_what_was_shown_in_another_shape_is_no_lesson(tmp_path: Path) -> None:
    """The ledger stays, and the specification has come to show more."""
    run(tmp_path, question(tmp_path, 8, select="random"))
    text = (tmp_path / "s.yaml").read_text().replace("shape: [2]", "shape: [3]").replace("arch: [2", "arch: [3")
    (tmp_path / "s.yaml").write_text(text)
    (wider,) = read_surrogates(tmp_path / "s.yaml", None, {}, load_model)
    learned = run(tmp_path, wider)
    assert (learned.asked, learned.lessons, learned.spent.queries) == (8, 8, 16)


def test_a_single_point_is_asked_about_once(tmp_path: Path) -> None:
    question(tmp_path)
    (tmp_path / "s.yaml").write_text((tmp_path / "s.yaml").read_text().replace("lo: -1, hi: 1", "lo: 1, hi: 1"))
    (given,) = read_surrogates(tmp_path / "s.yaml", None, {}, load_model)
    learned = run(tmp_path, given)
    assert (learned.lessons, len(questions(tmp_path))) == (1, 1)
    assert learned.reason.startswith("answers: slow gave 1 numbers")


def test_an_interruption_says_how_far_it_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, ask = question(tmp_path), PythonOverseer.ask

    def interrupted(self: PythonOverseer, arguments: object, seconds: float) -> float:
        if len(questions(tmp_path)) == 9:
            raise Stopped("interrupted")
        return ask(self, arguments, seconds)

    (tmp_path / "asked").touch()
    monkeypatch.setattr(PythonOverseer, "ask", interrupted)
    told = "interrupted: 9 of 48 questions to learn fast from were asked; the same command goes on"
    assert run(tmp_path, given).reason == told
    monkeypatch.setattr(PythonOverseer, "ask", ask)
    learned = run(tmp_path, given)
    assert (learned.reason, learned.spent.queries, learned.answered) == ("", 48, 47)
