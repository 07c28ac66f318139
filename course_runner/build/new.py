"""A new step: its folder from the template, its line in ``course.toml``, its rows in ``topics.csv``."""

from __future__ import annotations

import re
from pathlib import Path

from course_utils._plumbing.steps import Step, find, steps
from course_utils.errors import CourseError

TEMPLATE = Path(__file__).with_name("template")
#: Topics of the template, each with a text that stands in its lecture and the task that practises it.
TOPICS = (
    ("A setting is a parameter", "The setting as a parameter", 1),
    ("A result is a metric", "the result as a metric", 2),
    ("Repairing a run", "To repair it", 3),
)


def make_step(root: Path, name: str, after: str) -> Step:
    """Make ``source/NAME`` as a step that builds and passes, and put it into the series.

    Parameters
    ----------
    root
        The checkout.
    name
        Lower-case words joined by underscores.
    after
        The step that it follows, and builds on.

    Raises
    ------
    CourseError
        When the name cannot be used, there is no step `after`, or ``course.toml`` does not give it a line of its own.
        Nothing has been written then.
    """
    before = find(after, root)
    folder = root / "source" / name
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise CourseError(
            f"{name!r} is not the name of a step. Use lower-case words joined by _, for example fair_models."
        )
    if name in {step.name for step in steps(root)} or folder.exists():
        raise CourseError(f"There is a step or a folder source/{name} already. Choose another name.")
    order, topics = root / "source/course.toml", root / "source/topics.csv"
    old = order.read_text(encoding="utf8")
    line = re.compile(rf'^([ \t]*)(\{{[^\n]*\bname = "{before.name}"[^\n]*\}}),?([ \t]*(?:#[^\n]*)?)$', re.M)
    row = f'{{ name = "{name}", needs = ["{before.name}"] }},'
    new, count = line.subn(lambda m: f"{m[1]}{m[2]},{m[3]}\n{m[1]}{row}", old)
    if count != 1:
        raise CourseError(f"{order.name} has no line of its own for {before.name!r}. Add {row} behind it yourself.")
    words = name.replace("_", " ")
    replacements = {
        "new_step": name,
        "new-step": name.replace("_", "-"),
        "after_step": before.name,
        "# New step": f"# {words.capitalize()}",
        "new step": words,
    }
    texts = {path.name: path.read_text(encoding="utf8") for path in sorted(TEMPLATE.iterdir()) if path.is_file()}
    for placeholder, text in replacements.items():
        texts = {file: content.replace(placeholder, text) for file, content in texts.items()}
    folder.mkdir()
    for file, content in texts.items():
        (folder / file).write_text(content, encoding="utf8")
    order.write_text(new, encoding="utf8")
    if topics.is_file():
        rows = "".join(f"{topic},{name},{evidence},{task}\n" for topic, evidence, task in TOPICS)
        topics.write_text(topics.read_text(encoding="utf8").rstrip("\n") + "\n" + rows, encoding="utf8")
    return find(name, root)
