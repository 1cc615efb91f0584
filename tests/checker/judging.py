"""What tests of verdicts have in common: who judges, and the smallest of certificates."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from tests.checker.phase_words import words
from verifier.checker.check import Checker, Verdict
from verifier.checker.container import Certificate, Source

Judge = Callable[[Checker, Certificate], Verdict]
HERE = Source("0" * 64, "", b"")
SMALL = Fraction(1, 10**9)
LEAF = Certificate(HERE, HERE, 1, (words([0]),), "c")
