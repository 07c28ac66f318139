"""Weighs each word on each page for the site's search, which Sphinx alone would answer in the order of the alphabet.

Sphinx 9 finds only pages with every word asked for, and all words in the text of a page count the same: its index does
not know how often a word stands there. Here a page has for each word a weight after Okapi BM25 (Robertson and Zaragoza
2009, "The Probabilistic Relevance Framework"); ``_static/search.js`` adds them up.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.search import WordCollector
from sphinx.search.en import SearchEnglish

from course_runner.build import contents

LANGUAGE = SearchEnglish({})
#: How often a word counts that stands in the page's title, in a heading, in a topic of the lecture (source/topics.csv).
TITLE, HEADING, TOPIC = 8, 4, 4
#: What readers ask for in words that a lecture does not use, or has in passing only; it counts as a title does.
ASKED = {
    "mlflow_basics": ["run left open", "SQLite database"],
    "comparing_runs": ["search runs"],
    "nested_runs": ["hyperparameter tuning", "hyperparameter search", "grid search"],
    "pipelines": ["train test split", "missing values"],
    "models": ["log a model"],
    "model_registry": ["undo a promotion"],
    "tracking_server": ["share runs with a team"],
    "reproducing": ["random seed"],
}
#: BM25's own two: how soon more of the same word adds nothing, and how much a long page has to say more often.
SATURATION, LENGTH = 1.2, 0.6
#: A lecture comes before its homework, and both before what is looked up.
KINDS = {r"notebooks/\d": 1.0, r"exercises/": 0.6, "": 0.4}


def ranks(pages: dict[str, Counter[str]], kinds: dict[str, float] = KINDS) -> dict[str, list[int]]:
    """Return for each word: number of a page, its weight, number of the next page, its weight, …

    Parameters
    ----------
    pages
        Page → how often each word stands there; a word that counts more than once has been counted so often.
    kinds
        Pattern of a page's name → what its weights are multiplied with; the first that fits.
    """
    average = sum(map(Counter.total, pages.values())) / len(pages)
    holders = Counter(word for words in pages.values() for word in words)
    found: dict[str, list[int]] = {}
    for number, (page, words) in enumerate(pages.items()):
        kind = next(factor for pattern, factor in kinds.items() if re.match(pattern, page))
        long = SATURATION * (1 - LENGTH + LENGTH * words.total() / average)
        for word, often in words.items():
            rare = math.log(1 + (len(pages) - holders[word] + 0.5) / (holders[word] + 0.5))
            if weight := round(100 * kind * rare * often / (often + long)):
                found.setdefault(word, []).extend([number, weight])
    return found


def write(app: Sphinx, failure: Exception | None) -> None:
    """Write ``_static/ranks.js`` when the site has been built."""
    if failure is not None or app.builder.format != "html":
        return
    topics = contents.topics(Path(app.confdir).parent)
    pages = {}
    for page in sorted(app.env.found_docs - {"navigation"}):
        document = app.env.get_doctree(page)
        collected = WordCollector(document, LANGUAGE)
        document.walk(collected)
        pages[page] = Counter(stems(" ".join(collected.found_words)))
        weighted = [(app.env.titles[page].astext(), TITLE)]
        weighted += [(heading, HEADING) for heading, _ in collected.found_titles]
        if re.match(r"notebooks/\d", page):
            lecture = page.split("_", 1)[1]
            weighted += [(topic.topic, TOPIC) for topic in topics if topic.lecture == lecture]
            weighted += [(query, TITLE) for query in ASKED.get(lecture, [])]
        for text, times in weighted:
            words = stems(text)
            for word in [*words, *map(" ".join, pairwise(words))]:
                pages[page][word] += times
    # Not from Sphinx's index, which loses the glossary's entries when a build reads only what changed.
    objects = app.env.domains.standard_domain.objects
    terms = {name: anchor for (kind, name), (_, anchor) in objects.items() if kind == "term"}
    found = {"pages": list(pages), "words": ranks(pages), "terms": terms}
    text = json.dumps(found, separators=(",", ":"), sort_keys=True)
    (Path(app.outdir) / "_static/ranks.js").write_text(f"const RANKS = {text};\n", encoding="utf8")


def stems(text: str) -> list[str]:
    """Return the words that count, each without its ending, as the script in the browser has them."""
    words = [word for word in LANGUAGE.split(text) if word.lower() not in LANGUAGE.stopwords]
    return [word for word in map(LANGUAGE.stem, words) if LANGUAGE.word_filter(word)]
