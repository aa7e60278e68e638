"""Sphinx configuration."""

import os
from importlib.metadata import version as installed
from pathlib import Path

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
# Pages with a kernel in their head are run, each in a folder of its own, and nothing of it is kept.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 120
nb_merge_streams = True
nb_output_stderr = "error"
nb_render_markdown_format = "myst"
