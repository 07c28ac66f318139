"""Write the class report: who reached what, which mistakes the class makes, what is alike, what somebody must look at."""

from __future__ import annotations

import base64
import html
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from course_runner.grade import similar
from course_runner.grade.exports import beside, count_mistakes, write_csv
from course_runner.grade.feedback import page, slug
from course_runner.grade.gradebook import Entry, Gradebook
from course_runner.grade.similar import Pair
from course_runner.grade.unpack import Skipped


def picture(target: Path, entries: Sequence[Entry]) -> tuple[Path, str] | None:
    """Draw the most frequent mistakes beside the table; return the picture and its description, or None without any."""
    import pandas as pd

    from course_utils import plots

    counted = count_mistakes(entries)
    if not counted:
        return None
    shown = pd.Series({f"{c['homework']}.{c['task']} {c['mistake']}": float(c["learners"]) for c in counted[:15]})
    first = counted[0]
    fig = plots.bars(
        shown,
        title=f"Most frequent: {first['mistake']} in homework {first['homework']}, task {first['task']}",
        xlabel="learners",
        digits=0,
    )
    return plots.save(fig, beside(target, "_mistakes.png")), plots.alt_text(fig)


def write(target: Path, book: Gradebook, skipped: Sequence[Skipped], seed: int) -> list[Path]:
    """Write ``…_report.html`` with the table and the picture of mistakes, and ``…_similar.html`` when there is any pair."""
    counting = book.counting()
    mistakes = count_mistakes(counting)
    columns = ["homework", "task", "mistake", "learners"]
    written = [write_csv(beside(target, "_mistakes.csv"), mistakes, columns)]
    drawn = picture(target, counting)
    pairs = similar.find(counting)
    parts = [
        f"<h1>Class report</h1><p>{len([e for e in book.entries if e.submission])} submissions of {len(counting)} learners "
        f"and homework, data seed {seed}. The points are those that count, late days and changes by hand included.</p>",
        _to_look_at(book, skipped),
        _points(counting),
        "<h2>Mistakes</h2>",
    ]
    if drawn:
        written.append(drawn[0])
        data = base64.b64encode(drawn[0].read_bytes()).decode()
        parts.append(f'<img src="data:image/png;base64,{data}" alt="{html.escape(drawn[1])}">')
    parts += [_mistakes(counting), _tasks(counting, target), _statuses(counting), _missing(book), _alike(pairs, target)]
    report = beside(target, "_report.html")
    report.write_text(page("Class report", "".join(parts)), encoding="utf8")
    alike = beside(target, "_similar.html")
    if pairs:
        body = "".join(f"<h2>{_pair(p)}</h2>{similar.side_by_side(p)}" for p in pairs[:200])
        note = (
            "<p>Only what learners wrote themselves is compared: the exercise's own lines, comments and spaces are left out, and "
            "the names of variables do not count. Alike does not mean copied: a short task has few right answers.</p>"
        )
        alike.write_text(
            page("Hand-ins that are alike", f"<h1>Hand-ins that are alike</h1>{note}{body}"), encoding="utf8"
        )
        written.append(alike)
    else:
        alike.unlink(missing_ok=True)
    return [report, *written]


def table(
    head: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[int] = (), wide: bool = False
) -> str:
    """Return an HTML table; a cell that is a `Markup` is HTML already, any other is text."""

    def cell(tag: str, n: int, value: object, more: str = "") -> str:
        text = value if isinstance(value, Markup) else html.escape(str(value))
        right = ' class="number"' if n in numbers else ""
        return f"<{tag}{right}{more}>{text}</{tag}>"

    top = "".join(cell("th", n, value, ' scope="col"') for n, value in enumerate(head))
    body = "".join("<tr>" + "".join(cell("td", n, v) for n, v in enumerate(row)) + "</tr>" for row in rows)
    width = ' class="wide"' if wide else ""
    return f"<table{width}><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


class Markup(str):
    """Text that is HTML already."""


def _to_look_at(book: Gradebook, skipped: Sequence[Skipped]) -> str:
    look = [s for s in skipped if s.weight == "look"]
    parts = []
    if look or book.problems:
        items = [f"<code>{html.escape(s.name)}</code>: {html.escape(s.why)}" for s in look]
        items += [html.escape(problem) for problem in book.problems]
        parts.append(f"<h2>To look at ({len(items)})</h2><ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>")
    flagged = [e for e in book.entries if e.submission and e.submission.flags]
    if flagged:
        rows = [(_who(e), e.homework, e.grade.submission, "; ".join(e.submission.flags)) for e in flagged]
        parts.append(f"<h2>Flags</h2>{table(('learner', 'homework', 'submission', 'flag'), rows)}")
    return "".join(parts)


def _who(entry: Entry) -> str:
    return entry.learner or entry.grade.submission


def _points(entries: Sequence[Entry]) -> str:
    rows = []
    for homework in sorted({e.homework for e in entries}):
        points = sorted(e.points for e in entries if e.homework == homework)
        of = next(e.grade.of for e in entries if e.homework == homework)
        middle = (points[(len(points) - 1) // 2] + points[len(points) // 2]) / 2
        rows.append((homework, len(points), f"{of:g}", f"{middle:g}", f"{points[0]:g} to {points[-1]:g}"))
    return "<h2>Points</h2>" + table(("homework", "learners", "of", "median", "from, to"), rows, (1, 2, 3))


def _mistakes(entries: Sequence[Entry]) -> str:
    """Return mistakes over learners: each mistake with those who made it, and what they were told."""
    who, told = defaultdict(list), {}
    for entry in entries:
        for task in entry.tasks:
            if task["code"] not in ("ok", "not-graded"):
                who[entry.homework, task["task"], task["code"]].append(_who(entry))
                told.setdefault((entry.homework, task["task"], task["code"]), task.get("message", ""))
    rows = [
        (f"{c['homework']}.{c['task']}", c["mistake"], c["learners"], ", ".join(who[tuple(list(c.values())[:3])]),
         told[tuple(list(c.values())[:3])][:300])
        for c in count_mistakes(entries)
    ]  # fmt: skip
    if not rows:
        return "<p>Nobody made a mistake that a check tells apart.</p>"
    return table(("task", "mistake", "learners", "who", "message to the first one"), rows, (2,))


def _tasks(entries: Sequence[Entry], target: Path) -> str:
    """Return learners over tasks: what became of each, in a word, with a link to the feedback."""
    parts = []
    folder = beside(target, "_feedback").name
    for homework in sorted({e.homework for e in entries}):
        found = sorted((e for e in entries if e.homework == homework), key=lambda e: _who(e).casefold())
        count = max(len(e.tasks) for e in found)
        rows = []
        for e in found:
            link = Markup(f'<a href="{quote(folder)}/{slug(e)}">{html.escape(_who(e))}</a>')
            codes = [t["code"] if t["code"] != "ok" else "✔" for t in e.tasks]
            rows.append((link, f"{e.points:g}", *codes, *[""] * (count - len(codes)), e.late, e.grade.status))
        head = ("learner", "points", *(f"task {n}" for n in range(1, count + 1)), "late", "status")
        parts.append(f"<h2>Homework {homework}: learners and tasks</h2>{table(head, rows, (1,), wide=True)}")
    return "".join(parts)


def _statuses(entries: Sequence[Entry]) -> str:
    counted = Counter(e.grade.status.split(" (code")[0] for e in entries)
    return "<h2>How the notebooks ended</h2>" + table(("status", "learners"), counted.most_common(), (1,))


def _missing(book: Gradebook) -> str:
    missing = book.missing()
    if not missing:
        return ""
    rows = [(e.homework, e.learner, e.person.id, e.person.email) for e in missing]
    return f"<h2>Nothing handed in ({len(missing)})</h2>{table(('homework', 'learner', 'id', 'e-mail'), rows)}"


def _pair(pair: Pair) -> str:
    how = "equal" if pair.equal else f"{pair.share:.0%} alike"
    return html.escape(f"Homework {pair.homework}: {pair.one} and {pair.other}, {how}")


def _alike(pairs: Sequence[Pair], target: Path) -> str:
    if not pairs:
        return "<h2>Alike</h2><p>No two hand-ins are equal or nearly so.</p>"
    items = "".join(f"<li>{_pair(p)}</li>" for p in pairs[:200])
    name = quote(beside(target, "_similar.html").name)
    return f'<h2>Alike ({len(pairs)})</h2><p><a href="{name}">Side by side</a></p><ul>{items}</ul>'
