"""Exact encodings of the ReLUs: mixed-integer programs, and trees of linear programs over their phases."""
