"""Settings of the site: sphinx-build -W --keep-going docs build/site."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

import docstrings  # noqa: E402
import reference  # noqa: E402

import meanfield  # noqa: E402

project = "meanfield"
author = "The meanfield developers"
version = release = meanfield.__version__
project_copyright = author

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = ["figures", "_templates", "_build"]
templates_path = ["_templates"]
nitpicky = False  # the types in docstrings are words: "array of shape (L,)"

html_theme = "furo"
html_title = f"meanfield {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False

# Pages: Markdown, with formulas between dollars
myst_enable_extensions = ["amsmath", "deflist", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # a page of the README's tables may begin below the first level

# MathJax from files, so that formulas are typeset without a network; from its usual address where it is not installed
_mathjax = importlib.util.find_spec("jupyter_server_mathjax")
if _mathjax is not None and _mathjax.origin is not None:
    html_static_path.append(str(Path(_mathjax.origin).parent / "static"))
    mathjax_path = "MathJax.js"
    mathjax2_config = {
        "config": ["TeX-AMS-MML_HTMLorMML-full.js"],
        "HTML-CSS": {"availableFonts": [], "webFont": "STIX-Web", "imageFont": None},
        "showMathMenu": False,
        "messageStyle": "none",
        "tex2jax": {
            "inlineMath": [["\\(", "\\)"]],
            "displayMath": [["\\[", "\\]"]],
            "ignoreClass": ".*",
            "processClass": "math|output_area",
        },
    }
    myst_update_mathjax = False

# Notebooks run when the site is built
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True

# The interface, from the docstrings
autosummary_generate = True
autosummary_filename_map = reference.filenames()
autodoc_typehints = "none"
autodoc_preserve_defaults = True  # method=AUTO, not all that it is made of
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_google_docstring = False
napoleon_custom_sections = ["Equations"]
napoleon_use_rtype = False
napoleon_use_ivar = True
highlight_language = "none"  # of literal blocks, which are formulas
toc_object_entries_show_parents = "hide"
add_module_names = False
python_use_unqualified_type_names = True


def setup(app: object) -> None:
    """Write the pages that are made from the code, and mend docstrings before napoleon reads them."""
    reference.write(DOCS / "reference")
    app.connect("autodoc-process-docstring", docstrings.process, priority=400)  # type: ignore[attr-defined]
