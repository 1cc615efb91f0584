"""What every soundness test prints."""

from __future__ import annotations

import pytest

from tests.soundness.seeds import BASE_SEED


@pytest.fixture(autouse=True)
def _base_seed() -> None:
    """How to repeat a failure; pytest shows it with the failure."""
    print(f"CERTIFY_SEED={BASE_SEED}")
