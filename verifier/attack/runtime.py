"""What onnxruntime says where it does not run a model."""

from __future__ import annotations

from typing import Any


def refusals(onnxruntime: Any) -> tuple[type[Exception], ...]:
    """The exceptions for models and inputs that it cannot run; its own have no base in common."""
    known = vars(onnxruntime.capi.onnxruntime_pybind11_state).values()
    own = [one for one in known if isinstance(one, type) and issubclass(one, Exception)]
    return (RuntimeError, ValueError, *own)
