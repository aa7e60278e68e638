"""Sphinx configuration."""

from importlib.metadata import version as installed

project = "linreg"
author = "The linreg developers"
version = release = installed("linreg")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "numpydoc"]
html_theme = "furo"
html_title = f"linreg {release}"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
exclude_patterns = ["_build"]
nitpicky = False
# `name` in a docstring is code, and a link where it names something of linreg.
default_role = "py:obj"
myst_heading_anchors = 4
