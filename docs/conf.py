"""Sphinx configuration."""

import os
import pydoc
from importlib.metadata import version as installed
from pathlib import Path

from sphinx.addnodes import desc_signature

DOCS = Path(__file__).parent
# What pages run when they are built finds docs/shown.py and benchmarks.
os.environ["PYTHONPATH"] = os.pathsep.join([str(DOCS), str(DOCS.parent)])

project = "linreg"
author = "The linreg developers"
version = release = installed("linreg")
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "numpydoc"]
html_theme = "furo"
html_title = f"linreg {release}"
html_static_path = ["static"]
html_css_files = ["runs.css"]
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
exclude_patterns = ["_build"]
nitpicky = False
# `name` in a docstring is code, and a link where it names something of linreg.
default_role = "py:obj"
myst_heading_anchors = 4
# Pages with a kernel in their head are run, each in a folder of its own, and nothing of it is kept.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 120
nb_merge_streams = True
nb_output_stderr = "error"
nb_render_markdown_format = "myst"


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
