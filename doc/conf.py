"""Settings of the documentation: python -m sphinx -W --keep-going -b html doc doc/_build/html"""

import sys
import warnings
import xml.etree.ElementTree as ET
from html import escape
from pathlib import Path

import ziamath
from docutils import nodes
from sphinx_gallery.sorting import ExplicitOrder

import skmerge

HERE = Path(__file__).parent
MATH_SIZE = 18  # px, beside text of 16
sys.path.insert(0, str(HERE))
from import_graph import draw_import_graph  # noqa: E402

project, author = "skmerge", "The skmerge developers"
copyright = author
version = release = skmerge.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "templates", "gallery/*.ipynb"]
templates_path = ["templates"]
highlight_language = "none"  # of blocks that do not say what they are
smartquotes = False  # would turn the dashes of --option into one
nitpicky = True  # every reference must lead somewhere
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["config.cache"]  # the gallery's order is an object, which Sphinx cannot store

autosummary_generate = True
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False  # the template lists the methods; inherited ones are scikit-learn's

html_theme = "pydata_sphinx_theme"
html_title = "skmerge"
html_static_path = ["static"]
html_css_files = ["custom.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "skmerge"},
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": False,
}
html_math_renderer = "drawn"

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    # plot_*.py are run. An example that needs files which are not in the repository is called show_*.py: its code is
    # shown and not run. The other files are parts of examples.
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"(^|/)(?!plot_|show_)[^/]*\.py$",
    "within_subsection_order": ExplicitOrder(
        ["plot_first_steps.py", "plot_laws.py", "plot_forest_gradients.py", "plot_sparse_alloys.py", "*"]
    ),
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "abort_on_example_error": False,
}

# What an example warns of is shown on its page, without the path of the machine that ran it.
warnings.formatwarning = lambda message, category, *_: f"{category.__name__}: {message}\n"

# HTML representations of estimators in the gallery link to the pages of this build.
for name in skmerge.__all__:
    if hasattr(estimator := getattr(skmerge, name), "get_params"):
        estimator._doc_link_module, estimator._doc_link_template = "skmerge", "../api/skmerge.{estimator_name}.html"


# Formulae become inline SVG, drawn by ziamath with the font that it brings: no LaTeX, no script and no font is needed,
# where the pages are built or where they are read. MathML needs neither script nor LaTeX as well, but a mathematical
# font on the reader's machine: without one Chromium draws accents into letters. MathJax is fetched from a network.
def formula(node, inline):
    ziamath.config.svg2 = False  # glyphs as paths: as symbols those of two formulae would share their names
    drawn = ziamath.Latex(node.astext(), size=MATH_SIZE, color="currentColor", inline=inline)
    svg = ET.tostring(drawn.svgxml(), encoding="unicode")
    label = escape(node.astext(), quote=True)
    style = f' style="vertical-align: {drawn.getyofst():.2f}px"' if inline else ""
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}"{style} ', 1)


def inline_math(translator, node):
    translator.body.append(formula(node, inline=True))
    raise nodes.SkipNode


def display_math(translator, node):
    translator.body.append(f'<div class="math">{formula(node, inline=False)}</div>\n')
    raise nodes.SkipNode


def skip(app, what, name, obj, skipped, options):
    """Methods of metadata routing, whose text refers to scikit-learn's own pages, and fields of named tuples."""
    routing = name.startswith("set_") and name.endswith("_request")
    return skipped or routing or type(obj).__name__ == "_tuplegetter"


def setup(app):
    app.connect("autodoc-skip-member", skip)
    draw_import_graph(HERE / "images" / "imports.svg")
    app.add_html_math_renderer("drawn", (inline_math, None), (display_math, None))
