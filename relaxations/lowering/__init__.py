"""From a graph of operators to the ReLU network that the search works on."""

from relaxations.lowering.lower import lower

__all__ = ["lower"]
