"""Several graphs composed into one: a target, overseers, generators and copies."""

from specs.compose.composer import Composer
from specs.compose.internal import internal_tensor

__all__ = ["Composer", "internal_tensor"]
