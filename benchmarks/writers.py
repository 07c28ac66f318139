"""Many writers at once, and every run, metric, parameter, tag and artifact counted back afterwards.

    python benchmarks/writers.py               # PostgreSQL 16 x 200, SQLite 8 x 100, a server 16 x 25; a few minutes
    python benchmarks/writers.py --small       # a twentieth of it
    python benchmarks/writers.py --write       # the table also goes into benchmarks/writers.md

Each writer is a process of its own that logs through MLflow's fluent API, as a notebook does. Values and artifacts are
functions of writer and run, so that a mixed-up row is seen, not only a missing one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import mlflow
from sqlalchemy import create_engine, text

from course_runner.classroom import program
from course_utils import store, team

STEPS = 5


@dataclass
class Place:
    """A store under test: what writers are told, where rows and files really are."""

    name: str
    tracking_uri: str
    database_uri: str
    artifacts: Path
    credentials: dict[str, str]


@dataclass
class Result:
    """What was sent, what arrived, and how long it took."""

    name: str
    writers: int
    runs_each: int
    seconds: float
    errors: list[str]
    missing: list[str]

    @property
    def runs(self) -> int:
        """Number of runs sent."""
        return self.writers * self.runs_each

    def row(self) -> str:
        """Return the result as a row of a Markdown table."""
        lost = f"**{len(self.missing)}**" if self.missing else "0"
        return (
            f"| {self.name} | {self.writers} × {self.runs_each} | {self.seconds:.0f} | {self.runs / self.seconds:.0f} "
            f"| {self.runs} | {self.runs * (STEPS + 2)} | {self.runs} | {len(self.errors)} | {lost} |"
        )


def value(writer: int, run: int, step: int) -> float:
    """Return the metric that belongs at this place and nowhere else."""
    return writer * 1_000_000 + run * 100 + step


def write(place: Place, experiment: str, writer: int, runs_each: int, gate, errors) -> None:
    """Log the runs of one writer, when all are ready."""
    os.environ.update(place.credentials)
    mlflow.set_tracking_uri(place.tracking_uri)
    mlflow.set_experiment(experiment)
    gate.wait()
    for run in range(runs_each):
        try:
            with mlflow.start_run(run_name=f"{writer}-{run}"):
                mlflow.log_params({"writer": writer, "run": run})
                for step in range(STEPS):
                    mlflow.log_metric("loss", value(writer, run, step), step=step)
                mlflow.log_metrics({"auc": value(writer, run, 91), "f1": value(writer, run, 92)})
                mlflow.set_tag("who", f"w{writer}")
                mlflow.log_text(f"{writer} {run}", "out/note.txt")
        except Exception as error:
            errors.put(f"writer {writer}, run {run}: {type(error).__name__}: {str(error)[:200]}")


def count_back(place: Place, experiment: str, writers: int, runs_each: int) -> list[str]:
    """Return what is missing, doubled or wrong, read from the tables and the files themselves."""
    wrong = []
    engine = create_engine(place.database_uri)
    try:
        with engine.connect() as db:

            def rows(query: str) -> list:
                where = "join runs r using (run_uuid) join experiments e using (experiment_id) where e.name = :name"
                return db.execute(text(query.replace("WHERE", where)), {"name": experiment}).all()

            of_experiment = "select run_uuid, r.name, status from runs r join experiments e using (experiment_id)"
            runs = db.execute(text(f"{of_experiment} where e.name = :name"), {"name": experiment}).all()
            metrics = rows("select r.name, key, step, value from metrics m WHERE")
            params = rows("select r.name, key, value from params p WHERE")
            tags = rows("select r.name, key, value from tags t WHERE and key = 'who'")
    finally:
        engine.dispose()
    names = {f"{w}-{r}": (w, r) for w in range(writers) for r in range(runs_each)}

    def compare(what: str, found: list[tuple], expected: set[tuple]) -> None:
        wrong.extend(f"{what} {row} missing" for row in expected - set(found))
        wrong.extend(f"{what} {row} unexpected" for row in set(found) - expected)
        if len(found) != len(set(found)):
            wrong.append(f"{len(found) - len(set(found))} {what} twice")

    compare("run", [(r.name, r.status) for r in runs], {(name, "FINISHED") for name in names})
    expected = {(n, "loss", s, value(w, r, s)) for n, (w, r) in names.items() for s in range(STEPS)}
    expected |= {(n, k, 0, value(w, r, c)) for n, (w, r) in names.items() for k, c in (("auc", 91), ("f1", 92))}
    compare("metric", [(m.name, m.key, m.step, m.value) for m in metrics], expected)
    expected = {(n, k, str(v)) for n, (w, r) in names.items() for k, v in (("writer", w), ("run", r))}
    compare("parameter", [tuple(p) for p in params], expected)
    compare("tag", [tuple(t) for t in tags], {(n, "who", f"w{w}") for n, (w, _) in names.items()})
    ids = {r.run_uuid: r.name for r in runs}
    found = [
        (ids.get(p.parents[2].name, "?"), p.read_text(encoding="utf8")) for p in place.artifacts.rglob("out/note.txt")
    ]
    compare("artifact", [f for f in found if f[0] != "?"], {(n, f"{w} {r}") for n, (w, r) in names.items()})
    return wrong


def measure(place: Place, writers: int, runs_each: int) -> Result:
    """Let the writers write, then count."""
    experiment = f"writers-{writers}x{runs_each}"
    context = multiprocessing.get_context(
        "spawn" if sys.platform != "linux" else "fork"
    )  # forked: mlflow imported once
    client = mlflow.MlflowClient(place.tracking_uri)
    server_side = place.tracking_uri.startswith("http")
    client.create_experiment(experiment, None if server_side else str(place.artifacts))
    _forget(place)  # a connection to PostgreSQL must not be shared by forked processes
    gate, errors = context.Barrier(writers + 1), context.Queue()
    crew = [
        context.Process(target=write, args=(place, experiment, number, runs_each, gate, errors))
        for number in range(writers)
    ]
    for process in crew:
        process.start()
    gate.wait(300)
    begin = time.perf_counter()
    told = []
    while any(process.is_alive() for process in crew) or not errors.empty():
        while not errors.empty():
            told.append(errors.get())
        crew[0].join(0.2) if crew[0].is_alive() else next((p for p in crew if p.is_alive()), crew[0]).join(0.2)
    seconds = time.perf_counter() - begin
    told += [f"a writer ended with code {p.exitcode}" for p in crew if p.exitcode]
    return Result(place.name, writers, runs_each, seconds, told, count_back(place, experiment, writers, runs_each))


def _forget(place: Place) -> None:
    """Close the store that MLflow keeps for this address, and its memory of it."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from mlflow.tracking._tracking_service import utils

    found = utils._get_store(place.tracking_uri)
    if isinstance(found, SqlAlchemyStore):
        found.engine.dispose()
    utils._tracking_store_registry._get_store_with_resolved_uri.cache_clear()
    with SqlAlchemyStore._engine_map_lock:
        SqlAlchemyStore._engine_map.clear()


@contextmanager
def sqlite(folder: Path) -> Iterator[Place]:
    """Yield a fresh SQLite store."""
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    store.create(uri)
    yield Place("SQLite file", uri, uri, folder / "artifacts", {})


@contextmanager
def postgresql(folder: Path) -> Iterator[Place]:
    """Yield a fresh PostgreSQL that writers reach directly."""
    with team.postgres() as postgres:
        uri = postgres.create("mlflow")
        _schema(uri)
        yield Place("PostgreSQL", uri, uri, folder / "artifacts", {})


@contextmanager
def server(folder: Path) -> Iterator[Place]:
    """Yield a server with sign-in in front of a fresh PostgreSQL; artifacts go through it."""
    with team.postgres() as postgres:
        uri, password = postgres.create("mlflow"), "only-for-a-benchmark"
        with program.mlflow_server(uri, folder, admin_password=password) as started:
            names = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": password}
            os.environ.update(names)
            try:
                yield Place("server with sign-in, PostgreSQL", started.wait(), uri, folder / "artifacts", names)
            finally:
                for name in names:
                    os.environ.pop(name)


def _schema(uri: str) -> None:
    from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(uri)
    try:
        _initialize_tables(engine)
    finally:
        engine.dispose()


KINDS: list[tuple[Callable, int, int]] = [(postgresql, 16, 200), (sqlite, 8, 100), (server, 16, 25)]


def main() -> None:
    """Measure, print the table, and exit with 1 when anything is missing."""
    import tempfile

    from course_utils._plumbing.noise import quiet

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a twentieth of the runs")
    parser.add_argument("--only", choices=[kind.__name__ for kind, _, _ in KINDS])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    quiet()
    load, results = os.getloadavg()[0], []
    for kind, writers, runs_each in KINDS:
        if options.only and kind.__name__ != options.only:
            continue
        with tempfile.TemporaryDirectory(prefix="writers-") as name, kind(Path(name)) as place:
            print(f"{place.name}: {writers} writers …", file=sys.stderr, flush=True)
            results.append(measure(place, writers, max(2, runs_each // 20) if options.small else runs_each))
        for line in (results[-1].errors + results[-1].missing)[:5]:
            print("  ", line, file=sys.stderr)
    table = "\n".join(
        [
            "# Many writers at once",
            "",
            "Every run, metric value, parameter, tag and artifact is read back from tables and files and compared with what",
            f"its writer sent. A run has {STEPS + 2} metric values, 2 parameters, a tag of its own and an artifact.",
            "",
            "| store | writers × runs | seconds | runs/s | runs | metric values | artifacts | errors | missing or wrong |",
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
            *[result.row() for result in results],
            "",
            f"`python benchmarks/writers.py{' --small' if options.small else ''}` on {os.cpu_count()} cores, load {load:.1f} "
            f"before the start. MLflow {version('mlflow')}, SQLAlchemy {version('SQLAlchemy')}, Python "
            f"{platform.python_version()}, {platform.system()}.",
        ]
    )
    print(table)
    if options.write:
        Path(__file__).with_suffix(".md").write_text(table + "\n", encoding="utf8")
    sys.exit(any(result.errors or result.missing for result in results))


if __name__ == "__main__":
    main()
