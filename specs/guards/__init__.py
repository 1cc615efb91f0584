"""Guards: networks that compute whether an input lies in a set, and let a model answer only there."""

from specs.guards.graph import ACCEPT, guard_graph
from specs.guards.limits import EmptyGuard, Limits, limits_of

__all__ = ["ACCEPT", "EmptyGuard", "Limits", "guard_graph", "limits_of"]
