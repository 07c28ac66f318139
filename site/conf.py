"""Sphinx's settings for the web site. `make site` (site/build.py) assembles the pages and runs Sphinx with them."""

import sys
from pathlib import Path

from sphinx.application import Sphinx

SITE = Path(__file__).resolve().parent
ROOT = SITE.parent
sys.path[:0] = [str(SITE), str(ROOT)]  # course_site, and course_utils where it is not installed

from course_site import glossary, notebooks, search  # noqa: E402

from course_runner import environment  # noqa: E402

project = "MLflow, from the first run to a monitored model"
version = release = environment.project()["version"]
language = "en"
root_doc = "index"
exclude_patterns = ["navigation.md"]  # included by the home page
default_role = "py:obj"  # numpydoc style: `name` in a docstring is a name
suppress_warnings: list[str] = []

extensions = ["myst_nb", "sphinx_copybutton", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

# Notebooks: what is stored is shown, nothing runs.
nb_execution_mode = "off"
nb_merge_streams = True
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_type_aliases = {"ArrayLike": "ArrayLike"}  # NumPy's own spelling of it fills half a page
add_module_names = False
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "sphinx_book_theme"
html_title = "MLflow course"
html_static_path = [str(SITE / "_static")]
templates_path = [str(SITE / "_templates")]
html_favicon = str(SITE / "_static/favicon.svg")
html_css_files = ["course.css"]
html_js_files = [("course.js", {"defer": "defer"})]
html_show_sphinx = False
html_context = {"default_mode": "auto"}  # light or dark as the reader's system says, until the reader chooses
html_copy_source = True
html_theme_options = {
    "home_page_in_toc": True,
    "show_toc_level": 2,
    "max_navbar_depth": 1,  # the pages below one stand on that page; a nested list has a toggle without a name (axe)
    "use_fullscreen_button": False,
    "navbar_persistent": [],  # the search field stands in the side bar
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "search_bar_text": "Search the course …",
    "footer_content_items": "copyright.html",
    "extra_footer": "",
}
if environment.repository():
    html_theme_options |= {"repository_url": environment.repository(), "use_repository_button": True}
copyright = "the authors. Code: BSD 3-Clause; text and figures: CC BY 4.0"

copybutton_selector = "div.cell_input pre, div.highlight-sh pre, details div.highlight-python pre"


def on_source_read(app: Sphinx, page: str, source: list[str]) -> None:
    """Hand Sphinx the page of a notebook instead of the notebook itself, and the glossary with its lectures numbered."""
    if page == "glossary":
        source[0] = glossary.with_lectures(source[0])
        return
    kind, _, name = page.partition("/")
    if kind not in ("notebooks", "exercises") or not name[:2].isdigit():
        return
    solution = ROOT / "solutions" / f"{name}.ipynb" if kind == "exercises" else None
    if solution:
        app.env.note_dependency(solution, docname=page)
    source[0] = notebooks.page(source[0], solution)


def skip_constants(app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object) -> bool | None:
    """Leave constants out of the pages of the helper package: lectures call functions."""
    return None if callable(obj) or what != "module" else True


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the steps of course_site."""
    # A changed glossary or a changed step changes every page: Sphinx then reads all of them again.
    steps = sorted([SITE / "glossary.md", *(SITE / "course_site").glob("*.py")])
    app.add_config_value("course_steps", [path.read_text(encoding="utf8") for path in steps], "env", frozenset([list]))
    app.connect("source-read", on_source_read)
    app.connect("autodoc-skip-member", skip_constants)
    app.connect("doctree-read", glossary.on_doctree_read)
    app.connect("build-finished", search.write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
