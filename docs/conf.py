"""How the documentation site is built: `nox -s docs`. The pages are the Markdown files beside this one."""

from __future__ import annotations

from pytest_mlperf_audit import __version__

project = "pytest-mlperf-audit"
author = "The pytest-mlperf-audit developers"
copyright = author  # noqa: A001 - Sphinx's name
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build"]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
default_role = "code"  # a docstring's `name`
smartquotes = False  # they turn -- of an option into a dash
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "furo"
html_title = f"pytest-mlperf-audit {version}"
