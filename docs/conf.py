"""Sphinx configuration: MyST pages, furo theme, every warning an error (``sphinx-build -W docs docs/_build/html``)."""

from importlib.metadata import version as installed_version

project = "certify"
author = "The certify authors"
project_copyright = "The certify authors"
release = version = installed_version("certify-nn")

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "examples"]

add_module_names = False
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = "certify"
