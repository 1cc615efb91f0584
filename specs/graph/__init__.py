"""The network DAG: nodes, operators (one frozen class each) and rewrites."""

from specs.graph.graph import Graph, Node, Op

__all__ = ["Graph", "Node", "Op"]
