"""All homework of a learner as one table, for ``course progress``."""

from __future__ import annotations

import textwrap

from course_utils._judge.task import load_tasks
from course_utils._plumbing import steps
from course_utils.homework import attempts


def progress_table() -> str:
    """Return all homework as lines of at most 80 characters: level, points, attempts, hints and state of each task."""
    lines = []
    total = reached = weight = weighted = 0.0
    order = {step.name: step.number for step in steps.steps()}
    tried = attempts.summary()
    for homework in sorted(tried.keys() & order.keys(), key=order.get):
        tasks, known = tried[homework], load_tasks(homework)
        for n, task in enumerate(known, 1):
            seen = tasks.get(n, attempts.TaskProgress())
            total, reached = total + task.points, reached + seen.points
            weight, weighted = weight + task.weight, weighted + task.weight * (seen.state == "passed")
            title = textwrap.shorten(task.title, 25, placeholder=" …")
            lines.append(
                f"{order[homework]:2}  {n:4}  {task.level:8}  {title:25}  {f'{seen.points:g} of {task.points:g}':6}  "
                f"{seen.attempts:5}  {seen.hints:5}  {seen.state}"
            )
    if not lines:
        return "No homework tried yet. Open exercises/ in JupyterLab (`course lab`) and run a check."
    head = f"hw  task  {'level':8}  {'title':25}  points  tries  hints  state"
    share = f"Weighted by level (1, 2, 3), stretch included: {weighted / weight:.0%}."
    return "\n".join([head, *lines, f"{reached:g} of {total:g} points in the homework you have opened.", share])
