"""Sphinx configuration: MyST pages, furo theme, every warning an error (``sphinx-build -W docs docs/_build/html``)."""

from importlib.metadata import version as installed_version

project = "certify"
author = "The certify authors"
project_copyright = "The certify authors"
release = version = installed_version("certify-nn")

extensions = ["myst_parser"]
myst_enable_extensions = ["deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "examples"]
nitpicky = True

html_theme = "furo"
html_title = "certify"
