"""Sphinx builds this site: ``sphinx-build -nW --keep-going docs docs/_build``."""

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

autodoc_typehints = "none"  # the docstrings say types, shapes and units
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 88
add_module_names = False

html_theme = "furo"
html_title = f"jaxlmt {version}"
html_copy_source = False
html_show_sphinx = False
