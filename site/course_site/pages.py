"""The pages that nobody writes: navigation, old-to-new table, topics, state of the course, API. Each from its source."""

from __future__ import annotations

import ast
import datetime as dt
import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

from myst_parser.slugs import github_slugify

from course_runner.build import contents
from course_utils.errors import CourseError

#: What a topic of source/topics.csv starts with when it tells how MLflow changed.
CHANGE = re.compile(r"(Changed|Moved|Removed|Renamed|New|Deprecated): (.+)")


def derived(root: Path) -> dict[str, str]:
    """Return page name → Markdown of all derived pages."""
    return {
        "navigation": navigation(root),
        "notebooks/README": topics(root),
        "notebooks/changes": changes(root),
        "state": state(root),
        "api/index": api_index(root),
        **{f"api/{room}": api(room) for room in rooms(root)},
    }


def quote_readme(text: str, root: Path) -> str:
    """Fill a page with sections of the README, each where ``<!-- readme section: its heading -->`` stands.

    A link to a file that is no page of the site becomes the file's name.

    Raises
    ------
    CourseError
        When the README has no such section.
    """
    readme = (root / "README.md").read_text(encoding="utf8")

    def section(match: re.Match[str]) -> str:
        found = re.search(rf"^## {re.escape(match[1])}\n(.*?)(?=^## |\Z)", readme, re.M | re.S)
        if not found:
            raise CourseError(
                f"site/index.md quotes the section {match[1]!r} of README.md, which has no such heading. "
                "Name one of its headings there."
            )
        return re.sub(r"(?<!!)\[([^]]+)\]\((?!https?:|notebooks/|exercises/|#)([^)]+)\)", _as_name, found[1].strip())

    return re.sub(r"<!-- readme section: (.+?) -->", section, text)


def _as_name(link: re.Match[str]) -> str:
    words, target = link.groups()
    return f"`{target}`" if words == target else f"{words} (`{target}`)"


def _toctree(caption: str, entries: list[str], **options: str) -> str:
    settings = "".join(f":{name}: {value}\n" for name, value in options.items())
    lines = "\n".join(entries)
    return f"```{{toctree}}\n:caption: {caption}\n:hidden:\n{settings}\n{lines}\n```\n"


def navigation(root: Path) -> str:
    """Return what stands in the side bar: lectures by part, homework, reference."""
    parts: dict[str, list[str]] = {}
    homework = []
    for item in contents.entries(root):
        parts.setdefault(item.step.part, []).append(f"{item.number} {item.title} <notebooks/{item.name}>")
        title = _title(root / "exercises" / f"{item.name}.ipynb").partition(": ")[2]
        homework.append(f"{item.number} {title[:1].upper()}{title[1:]} <exercises/{item.name}>")
    blocks = [_toctree(caption, entries) for caption, entries in parts.items()]
    blocks.append(_toctree("Homework", homework))
    others = [path.stem for path in sorted((root / "site").glob("*.md")) if path.stem not in ("index", "glossary")]
    reference = ["glossary", "notebooks/changes", "notebooks/README", "api/index", *others, "state"]
    blocks.append(_toctree("Reference", reference))
    return "---\norphan: true\n---\n\n# Navigation\n\n" + "\n".join(blocks)


def _cells(notebook: Path) -> list[dict]:
    return json.loads(notebook.read_text(encoding="utf8"))["cells"]


def _title(notebook: Path) -> str:
    """Return the first heading of a notebook."""
    return re.search(r"^# (.+)$", "".join(_cells(notebook)[0]["source"]), re.M)[1]


def topics(root: Path) -> str:
    """Return the topic table, as `notebooks/README.md` has it."""
    return contents.topic_page(root)


def changes(root: Path) -> str:
    """Return the old-to-new table: the topics that tell how MLflow changed, each with the lecture that runs it."""
    names = {item.step.name: item for item in contents.entries(root)}
    lines = [
        "# From older MLflow to today's",
        "",
        "You follow an older course or blog, and a call fails or warns? Each row is run in its lecture, on MLflow"
        f" {_pin(root, 'mlflow')}.",
        "",
        "| in older material | today | where it is run |",
        "|---|---|---|",
    ]
    for topic in contents.topics(root):
        if match := CHANGE.fullmatch(topic.topic):
            kind, text = match.groups()
            old, arrow, new = text.partition(" → ")
            lecture = names[topic.lecture]
            section = _section(root / "notebooks" / f"{lecture.name}.ipynb", topic.evidence)
            place = f"#{github_slugify(section)}" if section else ""
            link = f"[{lecture.number}, {section or lecture.title}]({lecture.name}.ipynb{place})"
            lines.append(f"| {_code(old)} | {_code(new) if arrow else kind.lower()} | {link} |")
    gone = quote_readme("<!-- readme section: Calls that are gone -->", root)
    return "\n".join([*lines, "", "## Calls that are gone", "", gone]) + "\n"


def _code(text: str) -> str:
    """Set the names in a text as code: what has a dot, an underline, an equals sign or brackets inside."""
    return re.sub(r"\w[\w.]*\(\w*=?\)|\w[\w.]*=|\w+[._]\w[\w.]*", r"`\g<0>`", text)


def _section(notebook: Path, text: str) -> str:
    """Return the heading of the section in which a text stands; "" when it stands nowhere (test_content.py says so)."""
    heading = ""
    for cell in _cells(notebook):
        source = "".join(cell["source"])
        position = " ".join(source.split()).find(" ".join(text.split()))
        for found in re.finditer(r"^#{1,2} (.+)$", source, re.M) if cell["cell_type"] == "markdown" else ():
            if position >= 0 and len(" ".join(source[: found.start()].split())) > position:
                break
            heading = found[1]
        if position >= 0:
            return heading
    return ""


def _pin(root: Path, package: str) -> str:
    """Return the version of a package in requirements.lock."""
    text = (root / "requirements.lock").read_text(encoding="utf8")
    return re.search(rf"^{re.escape(package)}(?:\[.*?\])?==([^\s;\\]+)", text, re.M)[1]


def commit_date(root: Path) -> str:
    """Return the day of the last commit: of SOURCE_DATE_EPOCH when it is set, of git otherwise, "unknown" without git.

    Never the clock: the same state of the course gives the same page.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not epoch:
        try:
            command = ["git", "log", "-1", "--format=%ct"]
            epoch = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=30).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            epoch = ""
    if not epoch.isdigit():
        return "unknown"
    day = dt.datetime.fromtimestamp(int(epoch), dt.UTC)
    return f"{day.day} {day:%B %Y}"


def _count_tests(root: Path) -> int:
    """Return the number of test functions (one function may run on many inputs)."""
    found = 0
    for path in (root / "tests").rglob("test_*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf8")))
        found += sum(isinstance(node, ast.FunctionDef) and node.name.startswith("test_") for node in nodes)
    return found


def state(root: Path) -> str:
    """Return the page on the state of the course: versions, date, sizes; every number counted in the files."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf8"))["project"]
    entries = contents.entries(root)
    rows, sums = [], [0] * 6
    for item in entries:
        lecture, exercise = (_cells(root / kind / f"{item.name}.ipynb") for kind in ("notebooks", "exercises"))
        quizzes = json.loads((item.step.folder / "quiz.json").read_text(encoding="utf8"))
        outputs = [output for cell in lecture for output in cell.get("outputs", [])]
        tags = {tag for cell in exercise for tag in cell["metadata"].get("tags", []) if tag.startswith("task-")}
        counts = [
            item.read,
            item.do,
            sum(cell["cell_type"] == "code" for cell in lecture),
            sum("image/png" in output.get("data", {}) for output in outputs),
            sum(map(len, quizzes.values())),
            len(tags),
        ]
        sums = [a + b for a, b in zip(sums, counts, strict=True)]
        link = f"[{item.number} {item.title}](notebooks/{item.name}.ipynb)"
        rows.append(f"| {link} | {' | '.join(map(str, counts))} |")
    facts = {
        "version of the course": project["version"],
        "last change": commit_date(root),
        "Python": project["requires-python"].replace(",", ", "),
        "MLflow": _pin(root, "mlflow"),
        "scikit-learn": _pin(root, "scikit-learn"),
        "JupyterLab": _pin(root, "jupyterlab"),
        "packages in the lock": len(
            re.findall(r"^[A-Za-z0-9].*==", (root / "requirements.lock").read_text(encoding="utf8"), re.M)
        ),
        "lectures": len(entries),
        "homework tasks": sums[5],
        "test functions": _count_tests(root),
    }
    lines = [
        "# State of the course",
        "",
        "Every number on this page is counted in the files when the site is built. The outputs in the lectures are those"
        " of a real run on these versions; a test repeats that run and compares.",
        "",
        "| what | now |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in facts.items()),
        "",
        "## Each lecture",
        "",
        "| lecture | minutes to read | minutes to do | code cells | pictures | quiz questions | homework tasks |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *rows,
        f"| all | {' | '.join(map(str, sums))} |",
    ]
    return "\n".join(lines) + "\n"


def rooms(root: Path) -> list[str]:
    """Return the modules of `course_utils` that lectures and homework import, for example ``["data", …]``."""
    found = set()
    for path in sorted((root / "source").glob("*/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "course_utils":
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("course_utils."):
                found.add(node.module.split(".")[1])
    return sorted(name for name in found if not name.startswith("_"))


def api_index(root: Path) -> str:
    """Return the page that lists the modules with the first sentence of each."""
    rows = [f"| [{room}]({room}.md) | {_summary(root, room)} |" for room in rooms(root)]
    listed = "\n".join(rooms(root))
    return (
        "# The helper package\n\n"
        "Lectures and homework import these modules from `course_utils`. They do the plumbing; what a lecture teaches"
        " stands in the lecture.\n\n"
        "| module | what is inside |\n|---|---|\n"
        + "\n".join(rows)
        + f"\n\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n"
    )


def _summary(root: Path, room: str) -> str:
    """Return the first paragraph of a module's docstring."""
    path = root / "course_utils" / room
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split())


def api(room: str) -> str:
    """Return the page of one module; autodoc fills it."""
    return f"# `{room}`\n\n```{{eval-rst}}\n.. automodule:: course_utils.{room}\n   :members:\n```\n"
