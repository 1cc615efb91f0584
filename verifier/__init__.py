"""Answers and evidence: the engine, attacks, certificates, the independent checker, reports and the command line.

What is public is listed in ``__all__`` and imported when it is first used: ``python -m verifier.checker`` imports this
package too, and the checker runs on NumPy and the standard library alone.
"""

from __future__ import annotations

from typing import Any

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


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'verifier' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
