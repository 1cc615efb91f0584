"""Explicit simple cores of reasoning: small Python functions, traced exactly into networks and never executed."""

from specs.core.core import Core, Traced, read_core

__all__ = ["Core", "Traced", "read_core"]
