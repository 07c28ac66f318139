"""Write one page of feedback per learner: each task with its points and its message, and how the points were counted."""

from __future__ import annotations

import hashlib
import html
import re
import zipfile
from collections import defaultdict
from pathlib import Path

from course_runner.grade import names
from course_runner.grade.gradebook import Entry, Gradebook
from course_runner.grade.roster import fold
from course_utils._judge.task import html_of

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid #8886; }
code { font-family: ui-monospace, monospace; font-size: .92em; overflow-wrap: anywhere; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
table.code td { white-space: pre-wrap; padding: 0 .6rem; }
table.wide { display: block; overflow-x: auto; }
tr.differs { background: #e69f0033; }
.task { border-left: .3rem solid #888; padding: .2rem 1rem; margin: 1rem 0; }
.passed { border-color: #009e73; } .not-yet { border-color: #e69f00; } .not-started { border-color: #56b4e9; }
img { max-width: 100%; background: white; }
"""
_WORDS = {
    "ok": "The notebook ran to its end.",
    "blank": "The notebook is the exercise as it was handed out: nothing is filled in.",
    "no task started": "The notebook ran to its end, but left nothing in the store that a task asks for.",
    "timeout": "A cell ran too long and was stopped; the cells after it were run.",
    "wall time": "The notebook took too long and was stopped; what it had stored by then was judged.",
    "kernel died": "The notebook's kernel ended before the last cell; what it had stored by then was judged.",
    "store only": "Your store was judged; the notebook was not run.",
    "too much memory": "The notebook used more memory than it may, and was stopped.",
    "nothing handed in": "Nothing was handed in.",
    "by hand": "These points were entered by hand.",
}


def page(title: str, body: str) -> str:
    """Return an HTML page; `body` is HTML."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main>{body}</main></body></html>\n"
    )


def explain(status: str) -> str:
    """Return a status in a sentence that helps a learner."""
    if status in _WORDS:
        return _WORDS[status]
    where = re.search(r"\((code cell \d+)\)", status)
    cell = where[1].capitalize() if where else "A cell"
    if status.startswith(("SyntaxError", "IndentationError", "TabError")):
        return f"{cell} is not valid Python ({status.split()[0]}), so nothing in it ran. Run it to see the line."
    if status.startswith("asks for input"):
        return f"{cell} waits for somebody to type (`input`). Nobody does while a notebook is graded: write the value there."
    if found := re.match(r"missing package ([\w.-]+)", status):
        return f"{cell} imports `{found[1]}`, which is not a package of the course, so the cell stopped there."
    if status.startswith("not a notebook"):
        return f"The file could not be read: {status}. Save the notebook in JupyterLab and hand in the .ipynb file."
    if where:
        return f"{cell} stopped with {status.split()[0]}; the cells after it were run."
    return f"How it ended: {status}."


def heading(homework: str) -> str:
    """Return the heading of a homework, as its notebook has it."""
    return names.title(names.ours("exercises", homework)) or f"Homework {homework}"


def attempt(entry: Entry) -> str:
    """Return one attempt as HTML: the tasks with their messages, and how the points were counted."""
    grade = entry.grade
    parts = []
    if grade.submission:
        parts.append(
            f"<p>Handed in: <code>{html.escape(grade.submission)}</code>. {html_of(explain(grade.status))}</p>"
        )
    else:
        parts.append(f"<p>{explain(grade.status)}</p>")
    for task in entry.tasks:
        state = {"ok": "passed", "not-started": "not started", "not-graded": "not graded"}.get(task["code"], "not yet")
        sign = {"passed": "✔", "not started": "…", "not graded": "!"}.get(state, "✘")
        code = "" if state != "not yet" else f" <code>{html.escape(task['code'])}</code>"
        changed = f"<p>Points changed by hand: {html.escape(task['changed'])}</p>" if "changed" in task else ""
        parts.append(
            f'<section class="task {state.replace(" ", "-")}"><h3>{sign} Task {task["task"]}: '
            f"{html.escape(task.get('title', ''))}</h3><p><strong>{state}</strong>, {task['points']:g} of {task['of']:g} "
            f"points{code}</p><p>{html_of(task.get('message', ''))}</p>{changed}</section>"
        )
    if entry.late:
        cost = f" That costs {entry.penalty:g} points." if entry.penalty else ""
        parts.append(f"<p>Late: {html.escape(entry.late)}.{cost}</p>")
    parts += [f"<p>{html.escape(remark)}</p>" for remark in entry.remarks if remark.startswith(("changed", "task"))]
    return "".join(parts)


def slug(entry: Entry) -> str:
    """Return a file name for a learner that is safe everywhere and stands for nobody else."""
    who = entry.learner or entry.grade.submission
    key = entry.person.id if entry.person and entry.person.id else who
    plain = "-".join(re.findall(r"[a-z0-9]+", " ".join(fold(who))))[:50]
    return f"{plain or 'learner'}-{hashlib.sha256(f'{key}|{who}'.encode()).hexdigest()[:6]}.html"


def write(folder: Path, book: Gradebook) -> dict[str, Path]:
    """Write the pages and return file name → path; a learner's page shows all their homework and attempts."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = defaultdict(list)
    for entry in book.entries:
        pages[slug(entry)].append(entry)
    written = {}
    for name, entries in pages.items():
        who = entries[0].learner or entries[0].grade.submission
        parts = [f"<h1>Feedback for {html.escape(who)}</h1>"]
        for entry in sorted(entries, key=lambda e: (e.homework, not e.counts, -e.attempt)):
            counts = "" if entry.counts else ", an attempt that does not count"
            parts.append(
                f"<h2>{html.escape(heading(entry.homework))}{counts}</h2>"
                f"<p><strong>{entry.points:g} of {entry.grade.of:g} points</strong></p>{attempt(entry)}"
            )
        written[name] = folder / name
        written[name].write_text(page(f"Feedback for {who}", "".join(parts)), encoding="utf8")
    return written


def moodle_zips(target: Path, book: Gradebook, pages: dict[str, Path]) -> list[Path]:
    """Write the pages as Moodle takes them back (*Upload multiple feedback files in a zip*), one archive a homework."""
    written = []
    for homework in sorted({e.homework for e in book.counting()}):
        found = {}
        for entry in book.counting():
            for part in entry.grade.submission.split("/") if entry.homework == homework else ():
                if (handed := names.by_system(part)) and handed.system == "Moodle":
                    place = re.sub(r"(_assignsubmission_[a-z]+).*", r"\1_", re.sub(r"(?i)\.(zip|ipynb)$", "", part))
                    found[f"{place}/feedback.html"] = pages[slug(entry)]
        if found:
            written.append(target.with_name(f"{target.stem}_moodle_feedback_{homework}.zip"))
            with zipfile.ZipFile(written[-1], "w", zipfile.ZIP_DEFLATED) as archive:
                for name, path in found.items():
                    archive.write(path, name)
    return written
