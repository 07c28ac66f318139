"""A store with 100,000 runs: the time of the lectures' queries and of the UI's first page, and how each grows.

    python benchmarks/many_runs.py             # 1,000, 10,000 and 100,000 runs in SQLite
    python benchmarks/many_runs.py --browser   # the UI's first page in a real browser too (Chromium)
    python benchmarks/many_runs.py --write     # the table also goes into benchmarks/many_runs.md

A hundred runs are made through MLflow's API, as lecture 07 makes them (a parent with candidates, parameters, metrics,
tags). The rest are copies of their rows under new ids, times and values, written by SQL: making 100,000 through the API
takes half an hour. The first two columns show that copies answer as the originals do.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import mlflow
import requests
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from course_runner.lab.ui import free_port, ui_server
from course_utils import store
from course_utils._plumbing.processes import answers

API_MADE = 100
FAMILY = 10  # a parent and nine candidates
EXPERIMENT = "churn-search"
TABLES = ("params", "metrics", "latest_metrics", "tags")


def make_by_api(uri: str) -> None:
    """Log `API_MADE` runs as a search with candidates does."""
    store.connect(uri)
    mlflow.set_experiment(EXPERIMENT)
    for family in range(API_MADE // FAMILY):
        with mlflow.start_run(run_name=f"search-{family}"):
            mlflow.set_tag("stage", "search")
            for n in range(FAMILY - 1):
                with mlflow.start_run(run_name=f"candidate-{family}-{n}", nested=True):
                    mlflow.log_params(
                        {"model": ("forest", "logistic")[n % 2], "C": 10 ** (n % 5 - 3), "depth": n, "seed": 42}
                    )
                    score = ((family * 37 + n * 11) % 100) / 100
                    mlflow.log_metrics({"roc_auc": score, "brier": 1 - score, "fit_seconds": n / 10})
                    mlflow.set_tag("stage", "candidate")


def copy_rows(database: Path, runs: int) -> None:
    """Copy the rows of the API's runs, whole families at a time, until there are `runs`."""
    with closing(sqlite3.connect(database)) as db, db:
        columns = {t: [c[1] for c in db.execute(f"pragma table_info({t})")] for t in ("runs", *TABLES)}
        families = -(-(runs - API_MADE) // API_MADE)
        db.execute("create temp table copy (k integer primary key)")
        db.executemany("insert into copy values (?)", [(k,) for k in range(1, families + 1)])
        # 32 hex digits again: the first 24 of the original, then the number of the copy
        new_id = "substr({0}, 1, 24) || printf('%08x', k)"
        shifted = {
            "run_uuid": new_id.format("run_uuid"),
            "name": "name || '-' || k",
            "start_time": "start_time + k * 60000",
            "end_time": "end_time + k * 60000",
            "artifact_uri": f"replace(artifact_uri, run_uuid, {new_id.format('run_uuid')})",
        }
        same = "case when key = 'mlflow.parentRunId' then " + new_id.format("value") + " else value end"
        changed = {
            "params": {},
            "tags": {"value": same},
            "metrics": {"value": "abs(sin(value * k * 7.3))"},
            "latest_metrics": {"value": "abs(sin(value * k * 7.3))"},
        }
        for table in ("runs", *TABLES):
            rules = shifted if table == "runs" else {"run_uuid": new_id.format("run_uuid"), **changed[table]}
            chosen = ", ".join(rules.get(c, c) for c in columns[table])
            source = f"(select * from {table})"
            db.execute(f"insert into {table} ({', '.join(columns[table])}) select {chosen} from {source}, copy")
    with closing(sqlite3.connect(database)) as db:
        assert db.execute("select count(*) from runs").fetchone()[0] == runs, "copies are whole families"


def queries() -> dict[str, Callable[[], object]]:
    """Return what the lectures ask of a store."""
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    parent = client.search_runs([experiment], "attributes.run_name = 'search-3'")[0].info.run_id
    return {
        "one run by id": lambda: client.get_run(parent),
        "top 5 by a metric": lambda: mlflow.search_runs(
            experiment_names=[EXPERIMENT], order_by=["metrics.roc_auc DESC"], max_results=5
        ),
        "newest 100": lambda: client.search_runs(
            [experiment], order_by=["attributes.start_time DESC"], max_results=100
        ),
        "filter on parameter and metric, best 10": lambda: client.search_runs(
            [experiment],
            "params.model = 'forest' and metrics.roc_auc > 0.9",
            order_by=["metrics.roc_auc DESC"],
            max_results=10,
        ),
        "the children of one parent": lambda: client.search_runs(
            [experiment], f"tags.`mlflow.parentRunId` = '{parent}'"
        ),
        "by name": lambda: client.search_runs([experiment], "attributes.run_name = 'candidate-3-4'"),
        "tidy table of 1,000": lambda: store.runs(EXPERIMENT, order_by=["metrics.roc_auc DESC"], max_results=1000),
    }


def timed(ask: Callable[[], object], rounds: int = 3) -> float:
    """Return the median seconds of a call, after one that warms up; of one call when it takes long."""
    begin = time.perf_counter()
    ask()
    if time.perf_counter() - begin > 5:
        rounds = 1
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def first_page(uri: str, browser: bool) -> dict[str, float]:
    """Start the UI as `course ui` does and time its first page: what it asks of the server, and in a browser."""
    port = free_port(5100)
    command, environment = ui_server(uri, port)
    address = f"http://127.0.0.1:{port}"
    begin = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = {}
    try:
        while process.poll() is None and not answers(f"{address}/health"):
            time.sleep(0.1)
        found["UI: server ready"] = time.perf_counter() - begin
        with requests.Session() as session:

            def ask(name: str, body: dict) -> dict:
                reply = session.post(f"{address}/ajax-api/2.0/mlflow/{name}", json=body, timeout=600)
                reply.raise_for_status()
                return reply.json()

            experiments = {"max_results": 25, "order_by": ["last_update_time DESC"]}
            experiment = next(
                e for e in ask("experiments/search", experiments)["experiments"] if e["name"] == EXPERIMENT
            )
            page = {
                "experiment_ids": [experiment["experiment_id"]],
                "order_by": ["attributes.start_time DESC"],
                "run_view_type": "ACTIVE_ONLY",
                "max_results": 100,
            }
            found["UI: its list of experiments"] = timed(lambda: ask("experiments/search", experiments))
            found["UI: its first 100 runs"] = timed(lambda: ask("runs/search", page))
        if browser:
            found["UI: first page in a browser"] = in_browser(
                f"{address}/#/experiments/{experiment['experiment_id']}/runs"
            )
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return found


def in_browser(url: str) -> float:
    """Return the seconds until a run's name is on the page (median of three visits, after a first one)."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )

        def visit() -> None:
            page = browser.new_page()
            page.goto(url)
            page.get_by_text("search-", exact=False).first.wait_for(timeout=180_000)
            page.close()

        try:
            return timed(visit)
        finally:
            browser.close()


def measure(runs: int, copied: bool, browser: bool) -> dict[str, float]:
    """Return seconds by question for a store of this size."""
    with tempfile.TemporaryDirectory(prefix="many-runs-") as name:
        database = Path(name) / "mlflow.db"
        uri = f"sqlite:///{database}"
        make_by_api(uri)
        if copied:
            begin = time.perf_counter()
            copy_rows(database, runs)
            print(f"  {runs:,} runs, made in {time.perf_counter() - begin:.1f} s", file=sys.stderr, flush=True)
        found = {}
        if runs <= 10_000:  # beyond it takes an hour
            top = "top 5 by a metric"
            found[f"{top}, without statistics"] = timed(queries()[top])
        store.connect(uri)  # which refreshes the statistics of a store that has grown
        SqlAlchemyStore._engine_map[uri].dispose()  # an open connection keeps the old ones
        found |= {what: timed(ask) for what, ask in queries().items()}
        print("  lectures' queries done", file=sys.stderr, flush=True)
        found |= first_page(uri, browser)
        found["size of the file, MB"] = database.stat().st_size / 1e6
        return found


def main() -> None:
    """Measure each size and print the table."""
    from course_utils._plumbing.noise import quiet

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--browser", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if bad := [size for size in options.sizes if size % API_MADE]:
        parser.error(f"{bad[0]} is no multiple of {API_MADE}")
    quiet()
    load = os.getloadavg()[0]
    columns = {f"{API_MADE} by API": measure(API_MADE, False, options.browser)}
    for size in options.sizes:
        columns[f"{size:,}"] = measure(size, True, options.browser)
    heads = list(columns)
    low, high = heads[1], heads[-1]
    lines = [
        "# A store with many runs",
        "",
        "Seconds, the median of three calls after one that warms up (one call when it takes over 5 s). SQLite, one experiment,",
        f"families of a parent and nine candidates. The last column is the growth from {low} to {high} runs.",
        "",
        f"| question | {' | '.join(heads)} | growth |",
        f"|---|{'---:|' * (len(heads) + 1)}",
    ]
    for what in columns[heads[0]]:
        values = [columns[head].get(what) for head in heads]
        cells = ["–" if v is None else f"{v:.3f}" if v < 10 else f"{v:.0f}" for v in values]
        growth = f"× {columns[high][what] / columns[low][what]:.1f}" if what in columns[high] else "–"
        lines.append(f"| {what} | {' | '.join(cells)} | {growth} |")
    words = f"{' --browser' if options.browser else ''} --sizes {' '.join(map(str, options.sizes))}"
    lines += [
        "",
        f"`python benchmarks/many_runs.py{words}` on {os.cpu_count()} cores, load {load:.1f} "
        f"before the start. MLflow {version('mlflow')}, SQLite {sqlite3.sqlite_version}, pandas {version('pandas')}, Python "
        f"{platform.python_version()}, {platform.system()}.",
    ]
    table = "\n".join(lines)
    print(table)
    if options.write:
        Path(__file__).with_suffix(".md").write_text(table + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
