"""Right and wrong answers to the homework of a exploring data."""

from tests.submissions.tools import append, swap

_NAMES = {1: "tumours", 2: "wines", 3: "digits", 4: "again"}


def _right(name: str) -> list:
    with_the_client = f"""
    client = mlflow.MlflowClient()
    made = client.create_run(client.create_experiment("hw-exploring-data-{name}"), run_name="share")
    client.log_param(made.info.run_id, "n_rows", {name}.size)
    client.log_metric(made.info.run_id, "share", sum({name} == 1) / len({name}))
    client.set_terminated(made.info.run_id)
    """
    without_a_block = f"""
    mlflow.set_experiment("hw-exploring-data-{name}")
    mlflow.start_run(run_name="share")
    mlflow.log_params({{"n_rows": len({name}), "label": 1}})
    mlflow.log_metrics({{"share": {name}.eq(1).mean()}})
    mlflow.end_run()
    """
    return [with_the_client, without_a_block]


def _wrong(name: str) -> list:
    return [
        ("wrong-class", swap("== 1", "== 0")),
        ("count-not-share", swap(".mean()", ".sum()")),
        ("rows-not-counted", swap(f"len({name})", f"len({name}) // 2")),
        ("metric-as-param", swap("log_metric", "log_param")),
        ("run-open", append('mlflow.start_run(run_name="share")')),
    ]


RIGHT = {task: _right(name) for task, name in _NAMES.items()}
WRONG = {task: _wrong(name) for task, name in _NAMES.items()}
EQUIVALENT: dict[int, dict[str, str]] = {}
