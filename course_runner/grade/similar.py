"""Find hand-ins that are equal or nearly so, by their code cells without what the exercise gave to everybody."""

from __future__ import annotations

import difflib
import html
import io
import keyword
import tokenize
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from course_runner.grade import names
from course_runner.grade.gradebook import Entry

#: Pieces of five tokens that two hand-ins must share, as a share of the smaller one's and at least so many.
NEAR, LEAST = 0.8, 12
_WORDS = 5
_TEXT = {tokenize.NAME, tokenize.NUMBER, tokenize.STRING, tokenize.OP}


@dataclass(frozen=True)
class Pair:
    """Two hand-ins of one homework that have much in common.

    Attributes
    ----------
    one, other
        Names of the learners, or ``our solution``.
    homework
        Two digits.
    share
        How much of the smaller one's own code is in the other, 0 to 1; names of variables do not count.
    equal
        Whether the own code is equal to the letter, but for comments and spaces.
    code
        The own lines of both.
    """

    one: str
    other: str
    homework: str
    share: float
    equal: bool
    code: tuple[tuple[str, ...], tuple[str, ...]]


def own_lines(code: Sequence[str], homework: str) -> tuple[str, ...]:
    """Return the lines that the learner has written: without comments, blank lines and those of the exercise."""
    given = Counter(
        line.strip() for kind, s in names.ours("exercises", homework) if kind == "code" for line in s.splitlines()
    )
    kept = []
    for line in (line for source in code for line in source.splitlines()):
        plain = line.strip()
        if not plain or plain.startswith("#"):
            continue
        if given[plain] > 0:
            given[plain] -= 1
        else:
            kept.append(line.rstrip())
    return tuple(kept)


def _pieces(lines: Sequence[str]) -> set[tuple[str, ...]]:
    """Return all runs of five tokens; a name that is assigned counts as any other, so renaming hides nothing."""
    words: list[str] = []
    assigned = set()
    for line in lines:
        try:
            found = [t.string for t in tokenize.generate_tokens(io.StringIO(line.strip()).readline) if t.type in _TEXT]
        except (tokenize.TokenError, IndentationError, SyntaxError):
            found = line.split()
        if "=" in found and "(" not in found[: found.index("=")]:
            assigned |= {w for w in found[: found.index("=")] if w.isidentifier() and not keyword.iskeyword(w)}
        words += found
    words = ["name" if word in assigned else word for word in words]
    return {tuple(words[n : n + _WORDS]) for n in range(len(words) - _WORDS + 1)}


def find(entries: Sequence[Entry]) -> list[Pair]:
    """Return the pairs of different learners that share at least `NEAR`, most alike first.

    Pieces that more than half of a class has are what the task makes everybody write; they are left out.
    """
    groups: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for entry in entries:
        if entry.submission is not None and entry.submission.code:
            who = entry.learner or entry.grade.submission
            groups[entry.homework][who] = own_lines(entry.submission.code, entry.homework)
    pairs = []
    for homework, codes in groups.items():
        solution = [source for kind, source in names.ours("solutions", homework) if kind == "code"]
        if solution:
            codes = codes | {"our solution": own_lines(solution, homework)}
        pieces = {who: _pieces(lines) for who, lines in codes.items()}
        common = Counter(piece for found in pieces.values() for piece in found)
        usual = {p for p, n in common.items() if n > max(8, len(pieces) / 2)}
        for one, other in combinations(sorted(pieces, key=lambda who: (who == "our solution", who)), 2):
            smaller = min(len(pieces[one]), len(pieces[other]))
            if smaller < LEAST:
                continue
            plain = [[line.strip() for line in codes[who]] for who in (one, other)]
            equal = plain[0] == plain[1]
            rare = pieces[one] - usual, pieces[other] - usual
            least = min(len(rare[0]), len(rare[1]))
            share = len(rare[0] & rare[1]) / least if least >= LEAST else 0.0
            whole = len(pieces[one] & pieces[other]) / smaller
            if equal or (share >= NEAR and whole >= NEAR):
                pairs.append(Pair(one, other, homework, 1.0 if equal else whole, equal, (codes[one], codes[other])))
    return sorted(pairs, key=lambda p: (not p.equal, -p.share, p.homework, p.one, p.other))


def side_by_side(pair: Pair) -> str:
    """Return both hand-ins as an HTML table, line by line, those that differ marked by a sign and a colour."""
    left, right = pair.code
    rows = []
    matcher = difflib.SequenceMatcher(None, [x.strip() for x in left], [x.strip() for x in right], autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        for n in range(max(b - a, d - c)):
            one = left[a + n] if a + n < b else ""
            other = right[c + n] if c + n < d else ""
            sign, mark = ("", "") if kind == "equal" else ("≠", ' class="differs"')
            cells = "".join(f"<td><code>{html.escape(text)}</code></td>" for text in (one, other))
            rows.append(f"<tr{mark}><td>{sign}</td>{cells}</tr>")
    head = "".join(f'<th scope="col">{html.escape(who)}</th>' for who in (pair.one, pair.other))
    return f'<table class="code"><thead><tr><th scope="col">differs</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
