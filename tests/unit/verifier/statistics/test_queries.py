"""The budget is never exceeded, the ledger survives a crash, and what it holds cannot be changed unnoticed."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from specs.overseer.python_overseer import OverseerError
from verifier.statistics.ledger import Ledger, LedgerError, read_lines
from verifier.statistics.plan import Plan
from verifier.statistics.queries import Budget, BudgetSpent, Queries, content_key
from verifier.statistics.sampling import Box, draws
from verifier.statistics.statement import StatementError, replay, state

F = Fraction
BOX = Box((-1.0, 0.0), (1.0, 2.0))


class Panel:
    """An overseer in this process that counts its questions and may fail or be cut off."""

    name, sha256 = "panel.py:judge", "0" * 64

    def __init__(self, cut_off_at: int = -1, silent_at: int = -1) -> None:
        self.asked, self.cut_off_at, self.silent_at = 0, cut_off_at, silent_at

    def ask(self, arguments, seconds):
        self.asked += 1
        if self.asked == self.cut_off_at:
            raise KeyboardInterrupt  # what our own end looks like: the question is out, no answer is written
        if self.asked == self.silent_at:
            raise OverseerError("no opinion")
        return 1.5 - arguments[0][1]


def plan(**changes):
    return Plan(**{"name": "audit", "sampler": BOX, "seed": 3, "queries": 40, "confidence": F(9, 10), **changes})


@pytest.fixture
def start():
    """Opens ledgers, and closes what a test leaves open."""
    opened = []

    def begin(*arguments, **options):
        opened.append(Queries(*arguments, **options))
        return opened[-1]

    yield begin
    for queries in opened:
        queries.close()


def test_a_run_is_what_direct_evaluation_says(start, tmp_path):
    panel = Panel()
    queries = start(tmp_path / "l", panel, Budget(40))
    queries.run(plan(), lambda x: [x])
    found = state(queries.ledger, "audit")
    points = [x for _, x in zip(range(40), draws(BOX, 3))]
    assert (found.answered, found.failures) == (40, sum(x[1] > 1.5 for x in points))
    assert 0 < found.failures < 40
    assert found.claim_class == "statistical(9/10)"
    assert queries.spent.queries == panel.asked == 40


def test_the_count_holds_across_resumption_and_crashes(start, tmp_path):
    asked = 0
    for cut_off_at in (5, 7, 3, -1, -1):
        panel = Panel(cut_off_at)
        queries = start(tmp_path / "l", panel, Budget(30))
        with pytest.raises((KeyboardInterrupt, BudgetSpent)):
            queries.run(plan(), lambda x: [x])
        asked += panel.asked
        assert asked == queries.spent.queries <= 30
        queries.close()
    assert asked == 30  # of which three got no answer and were asked again
    queries = start(tmp_path / "l", Panel(), Budget(30))
    with pytest.raises(StatementError, match="27 of 40"):
        state(queries.ledger, "audit")


def test_remembered_answers_cost_nothing_and_still_count(start, tmp_path):
    panel = Panel()
    queries = start(tmp_path / "l", panel, Budget(1, cost=F(2, 5), unit_cost=F(2, 5)))
    assert [queries.ask([[0.0, 0.25]], "look") for _ in range(4)] == [1.25] * 4
    assert panel.asked == queries.spent.queries == 1
    assert queries.spent.cost == F(2, 5)
    with pytest.raises(BudgetSpent):
        queries.ask([[0.0, 0.5]], "look")
    queries.close()
    random = start(tmp_path / "r", panel, Budget(2), deterministic=False)
    random.ask([[0.0, 0.25]], "look")
    random.ask([[0.0, 0.25]], "look")
    assert random.spent.queries == 2


def test_money_and_time_are_budgets_too(start, tmp_path):
    queries = start(tmp_path / "a", Panel(), Budget(100, cost=F(1), unit_cost=F(2, 5)))
    for k in range(2):
        queries.ask([[0.0, k]], "look")
    with pytest.raises(BudgetSpent, match="cost"):
        queries.ask([[0.0, 9.0]], "look")
    late = start(tmp_path / "b", Panel(cut_off_at=1), Budget(100, seconds=5, timeout=5))
    with pytest.raises(KeyboardInterrupt):
        late.ask([[0.0, 0.0]], "look")
    with pytest.raises(BudgetSpent, match="seconds"):  # an answer that was never written counts as the whole limit
        late.ask([[0.0, 0.0]], "look")


def test_no_opinion_stops_once_and_counts_as_a_failure(start, tmp_path):
    queries = start(tmp_path / "l", Panel(silent_at=4), Budget(41))
    with pytest.raises(OverseerError, match="no opinion"):
        queries.run(plan(), lambda x: [x])
    queries.run(plan(), lambda x: [x])
    found = state(queries.ledger, "audit")
    points = [x for _, x in zip(range(40), draws(BOX, 3))]
    assert points[3][1] <= 1.5
    assert found.failures == 1 + sum(x[1] > 1.5 for x in points)


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_half_a_line_is_cut_off(start, tmp_path, cut):
    file = tmp_path / "l"
    queries = start(file, Panel(), Budget(9))
    queries.ask([[0.0, 0.0]], "look")
    queries.close()
    whole = file.read_bytes()
    file.write_bytes(whole + whole.splitlines(keepends=True)[-1][:-cut])
    again = start(file, Panel(), Budget(9))
    again.close()
    assert file.read_bytes() == whole


def test_every_changed_byte_is_noticed(start, tmp_path):
    file = tmp_path / "l"
    queries = start(file, Panel(), Budget(9))
    for k in range(2):
        queries.ask([[0.0, float(k)]], "look")
    queries.close()
    data = file.read_bytes()
    head = read_lines(data, "l")[1]
    for at in range(len(data) - 1):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        try:
            assert read_lines(changed, "l")[1] != head, at
        except (LedgerError, ValueError):
            continue
        pytest.fail(f"byte {at} was changed unnoticed")
    lines = data.splitlines(keepends=True)
    for dropped in range(len(lines) - 1):
        with pytest.raises(LedgerError, match="changed"):
            read_lines(b"".join(lines[:dropped] + lines[dropped + 1 :]), "l")


def test_another_question_does_not_go_on_with_a_ledger(start, tmp_path):
    first = start(tmp_path / "l", Panel(), Budget(9))
    with pytest.raises(LedgerError, match="another process"):
        start(tmp_path / "l", Panel(), Budget(9))
    first.announce(plan())
    first.announce(plan())
    with pytest.raises(LedgerError, match="another plan"):
        first.announce(plan(confidence=F(1, 2)))
    with pytest.raises(LedgerError, match="has the seed 3"):
        first.announce(plan(name="second"))
    first.close()
    with pytest.raises(LedgerError, match="another budget"):
        start(tmp_path / "l", Panel(), Budget(10))
    with pytest.raises(LedgerError, match="another deterministic"):
        start(tmp_path / "l", Panel(), Budget(9), deterministic=False)


def test_keys_tell_arguments_apart():
    parts = [[[1.0, 2.0]], [[1.0], [2.0]], [[2.0, 1.0]], [[1.0, 2.0, 0.0]], [[0.0]], [[-0.0]], [[np.nextafter(0, 1)]]]
    assert len({content_key(part) for part in parts}) == len(parts)
    assert content_key([[1.0, 2.0]]) == content_key([np.array([1.0, 2.0])])


def test_a_ledger_may_hold_other_queries_and_no_plan(tmp_path):
    with Ledger(tmp_path / "l", {"overseer": "o", "sha256": ""}) as ledger, pytest.raises(StatementError, match="plan"):
        replay(ledger.lines, "audit")


def test_numbers_that_are_not_finite_do_not_spoil_the_ledger(start, tmp_path):
    panel = Panel()
    queries = start(tmp_path / "l", panel, Budget(40))
    before = (tmp_path / "l").read_bytes()
    for model in (float("nan"), float("inf")):
        with pytest.raises(LedgerError, match="not finite"):
            queries.run(plan(), lambda x, y=model: [x, [y]])
    assert panel.asked == queries.spent.queries == 0
    assert len((tmp_path / "l").read_bytes().splitlines()) == len(before.splitlines()) + 1  # the plan
