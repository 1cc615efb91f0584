"""What a chain of models claims in the end: how far its last network can be from what its core says, unrolled."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specs.language.chains.spec import ChainSpec


@dataclass(frozen=True)
class ChainClaim:
    """The claim in ``file``, as that states it: nothing here has been checked.

    ``joint`` is the error that is said to be proved of the last network at once; ``sha256`` is of the file.
    """

    file: Path
    sha256: str
    chain: ChainSpec
    joint: Fraction | None

    @property
    def composed(self) -> Fraction:
        """The error that follows from those of the steps."""
        return self.chain.errors()[self.chain.steps[-1].id]

    @property
    def error(self) -> Fraction:
        return self.composed if self.joint is None else min(self.joint, self.composed)

    @property
    def core(self) -> str:
        return self.chain.core.name
