"""Generated tables, read as `course workflow` reads them: how many were read right, refused, and wrong without a word.

python benchmarks/odd_tables.py 200
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.odd_tables import OddTable, judge, odd_tables  # noqa: E402


def main(count: int) -> int:
    """Read so many tables of a fixed seed and print what came of them; return how many were wrong."""
    verdicts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    wrong: list[str] = []

    @seed(1)
    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(odd_tables())
    def read(table: OddTable) -> None:
        with tempfile.TemporaryDirectory() as folder:
            verdict = judge(table, Path(folder))
        kinds.update(table.kinds.values())
        verdicts[verdict.partition(":")[0] if verdict.startswith("WRONG") else verdict] += 1
        if verdict.startswith("WRONG"):
            wrong.append(f"{verdict} ({', '.join(table.kinds.values())})")

    read()
    print(f"{sum(verdicts.values())} tables, {sum(kinds.values())} columns of {len(kinds)} kinds")
    for verdict, number in verdicts.most_common():
        print(f"{number:5} {verdict}")
    print(*wrong, sep="\n", end="")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)))
