"""Linear maps of the search network, structure kept: what a layer reads a source through."""

from relaxations.maps.chain import Chain, Sum, Transposed
from relaxations.maps.convolution import Convolution
from relaxations.maps.elementwise import Diagonal, Gather, Identity
from relaxations.maps.geometry import Geometry
from relaxations.maps.linear import LinearMap, Matrix, dense, largest, nonzeros, pull, push, rows_of

__all__ = [
    "Chain", "Convolution", "Diagonal", "Gather", "Geometry", "Identity", "LinearMap", "Matrix", "Sum", "Transposed",
    "dense", "largest", "nonzeros", "pull", "push", "rows_of",
]  # fmt: skip
