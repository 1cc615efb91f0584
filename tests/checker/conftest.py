"""Both ways of judging, for tests that ask for `judge`."""

from __future__ import annotations

import pytest

from tests.checker.judging import Judge
from verifier.checker.exact_tree import audit


@pytest.fixture(params=[lambda c, evidence: c.check(evidence, None), audit], ids=["float", "exact"])
def judge(request: pytest.FixtureRequest) -> Judge:
    return request.param
