"""Linear programs over the triangles of the ReLUs."""
