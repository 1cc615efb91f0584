"""Solvers that are imported where they are used, and the one line that says what to install where they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from specs.errors import CertifyError


class MissingSolver(CertifyError):
    """A solver that is asked for is not installed."""


def required(module: str, need: str, packages: str = "") -> Any:
    """The module; raises ``MissingSolver`` saying what needs it and what to install where there is none."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingSolver(f"{need}: pip install {packages or module}") from error
