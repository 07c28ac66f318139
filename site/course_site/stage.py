"""Puts the pages into one folder, as Sphinx wants them: the texts of `site/`, the notebooks, and the derived pages."""

from __future__ import annotations

from pathlib import Path

from course_runner.build import contents

from . import pages

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "site"


def assemble(folder: Path, root: Path = ROOT) -> list[str]:
    """Fill the folder with the source of every page, and return the pages' names.

    The folder keeps the layout of the checkout (``notebooks/``, ``exercises/``), so the links between notebooks hold.
    Only what changed is written, so that Sphinx reads only that again; what is no longer a page is removed.

    Parameters
    ----------
    folder
        Where to put the pages; made when it is not there.
    root
        The checkout.
    """
    texts = {f"{name}.md": text for name, text in pages.derived(root).items()}
    for path in sorted((root / "site").glob("*.md")):
        text = contents.fill(path.read_text(encoding="utf8"), root, "notebooks/")
        texts[path.name] = pages.quote_readme(text, root)
    files = {name: text.encode() for name, text in texts.items()}
    for kind in ("notebooks", "exercises"):
        files |= {f"{kind}/{path.name}": path.read_bytes() for path in sorted((root / kind).glob("*.ipynb"))}
    # Pictures of the pages, under the address that README and notebooks use.
    pictures = [path for path in sorted((root / "site/_static").glob("*")) if path.suffix in (".png", ".svg", ".webp")]
    files |= {f"site/_static/{path.name}": path.read_bytes() for path in pictures}
    for name, data in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() not in files:
            path.unlink()
    return [name for name in files if name.endswith((".md", ".ipynb"))]


def remove_stale(html: Path, found: set[str]) -> None:
    """Remove what an earlier build made of pages that are gone.

    Parameters
    ----------
    html
        The built site.
    found
        The names of all pages, without ending.
    """
    own = {"genindex", "py-modindex", "search"}  # Sphinx makes these
    for path in [*html.rglob("*.html"), *(html / "_sources").rglob("*.*")]:
        name = path.relative_to(html).with_suffix("").as_posix()
        if not name.startswith("_static/") and name.removeprefix("_sources/") not in found | own:
            path.unlink()
