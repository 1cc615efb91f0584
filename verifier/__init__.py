"""Answers and evidence: the engine, attacks, certificates, the independent checker, reports and the command line.

What is public is listed in ``__all__`` and imported when it is first used: ``python -m verifier.checker`` imports this
package too, and the checker runs on NumPy and the standard library alone.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what type checkers take for true; typing itself need not be loaded for it
if TYPE_CHECKING:
    from verifier.api import CheckResult, Report, certify, check, load
    from verifier.soundness import SoundnessError

__version__ = "0.1.0"

_HOME = {
    "certify": "verifier.api",
    "check": "verifier.api",
    "load": "verifier.api",
    "CheckResult": "verifier.api",
    "Report": "verifier.report.report",
    "SoundnessError": "verifier.soundness",
}

__all__ = ["CheckResult", "Report", "SoundnessError", "__version__", "certify", "check", "load"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'verifier' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
