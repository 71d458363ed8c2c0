"""Sphinx builds this site: ``sphinx-build -nW --keep-going -j 4 docs docs/_build/html``."""

import re

from jaxlmt import __version__

project = "jaxlmt"
author = "the jaxlmt developers"
copyright = author
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
nitpicky = True

# Markdown: formulas between dollars, anchors at headings, lists of definitions
myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "colon_fence"]
myst_heading_anchors = 3

# The tutorial is notebooks/quickstart.ipynb, kept without output: it is run at every build.
nb_execution_mode = "force"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True
nb_output_stderr = "remove"  # progress bars

default_role = "code"
autodoc_typehints = "none"  # the docstrings say types, shapes and units
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 88
add_module_names = False

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"jaxlmt {version}"
html_copy_source = False
html_show_sphinx = False


def as_rest(app, what, name, obj, options, lines):
    """Docstrings are plain text with inline markup: what reST would take for more is put right."""
    text = "\n".join(lines)
    text = text.replace("|", r"\|")  # |k| is no substitution
    text = re.sub(r"^(\w[\w, ]*?) {2,}(?=\S)", r":\1: ", text, flags=re.M)  # aligned lists of arguments
    text = re.sub(r"(:(?:class|func|meth|attr|mod):`)(?=\w)", r"\1.", text)  # names from wherever they are
    lines[:] = text.split("\n")


def setup(app):
    app.connect("autodoc-process-docstring", as_rest)
    return {"parallel_read_safe": True}
