"""Hulls of what a network computes inside on given data: sets in the space of its activations, with exact numbers."""

from specs.hulls.activations import Activations, activations, evaluate_all
from specs.hulls.build import HullShape, Kind, hull_of
from specs.hulls.ellipsoid import Ellipsoid, ellipsoid_of
from specs.hulls.hull import Hull, HullRow

__all__ = [
    "Activations",
    "Ellipsoid",
    "Hull",
    "HullRow",
    "HullShape",
    "Kind",
    "activations",
    "ellipsoid_of",
    "evaluate_all",
    "hull_of",
]
