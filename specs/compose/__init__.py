"""Several graphs composed into one: a target, overseers, generators and copies."""

from specs.compose.composer import Composer
from specs.compose.derivative import WIDTH, Size, derivative_size
from specs.compose.internal import internal_tensor

__all__ = ["WIDTH", "Composer", "Size", "derivative_size", "internal_tensor"]
