"""Sphinx configuration."""

import pydoc
from importlib.metadata import version as installed

from sphinx.addnodes import desc_signature

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


def also_under_full_names(app, doctree):  # noqa: ARG001
    """Give what stands under its public name the anchor of its full name too, to which the pages of source link."""
    for signature in doctree.findall(desc_signature):
        value = pydoc.locate(f"{signature.get('module')}.{signature.get('fullname')}")
        value = getattr(value, "fget", None) or getattr(value, "func", None) or value
        full = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"
        if hasattr(value, "__qualname__") and full not in signature["ids"]:
            signature["ids"].append(full)


def setup(app):
    """Connect the above."""
    app.connect("doctree-read", also_under_full_names)
