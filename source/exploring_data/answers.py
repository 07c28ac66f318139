"""Right and wrong answers to the homework of exploring data."""

from tests.submissions.tools import append, swap

RIGHT = {
    1: [
        # by groups, another threshold, another order of rows and columns
        """
        one = delivery.groupby("bottle", as_index=False).first()
        one["malic_acid"] = one["bottle"].map(delivery.drop_duplicates("bottle").set_index("bottle")["malic_acid"])
        one["alcohol"] = one["alcohol"].where(one["alcohol"] < 100, one["alcohol"] / 10)
        one[::-1].sort_index(axis=1).to_csv(folder / "clean.csv", index=False)
        """,
        # with the bottle as the index, and semicolons
        """
        table = delivery.set_index("bottle")
        table = table[~table.index.duplicated()]
        fence = table["alcohol"].quantile(0.75) * 3
        table["alcohol"] = np.where(table["alcohol"] > fence, table["alcohol"] / 10, table["alcohol"])
        table.to_csv(folder / "clean.csv", sep=";")
        """,
    ],
    2: [
        # without Yates' correction, by hand, capitals
        """
        rows = []
        a, b = left.data_gb.to_numpy(), stayed.data_gb.to_numpy()
        d = (a.mean() - b.mean()) / ((a.var(ddof=1) + b.var(ddof=1)) / 2) ** 0.5
        rows.append({"column": "data_gb", "test": "Welch", "p": stats.ttest_ind(b, a, equal_var=False).pvalue, "effect": d})
        a, b = left.support_calls.to_numpy(), stayed.support_calls.to_numpy()
        more = (a[:, None] > b).mean() + (a[:, None] == b).mean() / 2
        rows.append({"column": "support_calls", "test": "Mann-Whitney", "p": stats.mannwhitneyu(b, a).pvalue, "effect": more})
        counts = pd.crosstab(customers["churned"], customers["paperless"])
        found = stats.chi2_contingency(counts, correction=False)
        V = (found.statistic / len(customers)) ** 0.5
        rows.append({"column": "paperless", "test": "Chi-square", "p": found.pvalue, "effect": V})
        pd.DataFrame(rows).to_csv(folder / "tests.csv")
        """,
        # in another order, with the name of the column as the index
        """
        counts = customers.groupby(["paperless", "churned"]).size().unstack()
        table = pd.DataFrame(index=pd.Index(["paperless", "support_calls", "data_gb"], name="column"))
        table["test"] = ["chi-square", "mann-whitney", "welch"]
        u = stats.mannwhitneyu(left["support_calls"], stayed["support_calls"], alternative="two-sided")
        t = stats.ttest_ind(left["data_gb"], stayed["data_gb"], equal_var=False)
        table["p"] = [stats.chi2_contingency(counts).pvalue, u.pvalue, t.pvalue]
        d = (left["data_gb"].mean() - stayed["data_gb"].mean()) / np.sqrt((left["data_gb"].var() + stayed["data_gb"].var()) / 2)
        table["effect"] = [stats.contingency.association(counts), u.statistic / len(left) / len(stayed), d]
        table.to_csv(folder / "tests.csv")
        """,
    ],
    3: [
        """
        limit, found = 0.05 / candidates.shape[1], []
        for name in candidates:
            column = candidates[name]
            p = stats.ttest_ind(column[customers["churned"] == 0], column[customers["churned"] == 1], equal_var=False).pvalue
            if p < limit:
                found.append(name)
        with open(folder / "survivors.json", "w") as file:
            json.dump(found[::-1], file, indent=2)
        """,
        """
        gone = customers["churned"].astype(bool)
        p = pd.Series(stats.ttest_ind(candidates[gone], candidates[~gone], equal_var=False).pvalue, candidates.columns)
        pd.Series(p.index[p * 100 < 0.05]).to_json(folder / "survivors.json", orient="values")
        """,
    ],
    4: [
        # with the client, after a first try that failed
        """
        client = mlflow.MlflowClient()
        experiment = mlflow.get_experiment_by_name("hw-exploring-data-drift").experiment_id
        a, b = (stream.loc[rows, "monthly_charges"] for rows in (stream.week > 4, stream.week < 5))
        first = client.create_run(experiment, run_name="drift")
        client.set_terminated(first.info.run_id, "FAILED")
        run = client.create_run(experiment, run_name="drift")
        client.log_param(run.info.run_id, "column", "monthly_charges")
        client.log_metric(run.info.run_id, "d", (a.mean() - b.mean()) / ((a.var() + b.var()) / 2) ** 0.5)
        client.set_terminated(run.info.run_id)
        """,
        # whole tables at once, more than was asked
        """
        amounts = ["tenure_months", "monthly_charges", "data_gb"]
        groups = stream.groupby(stream.week.ge(5))[amounts]
        mean, var = groups.mean(), groups.var()
        d = (mean.loc[True] - mean.loc[False]) / np.sqrt(var.mean())
        mlflow.start_run(run_name="drift")
        mlflow.log_params({"column": d.abs().idxmax(), "weeks": 8})
        mlflow.log_metrics({"d": d.loc[d.abs().idxmax()], "d_tenure": d["tenure_months"]})
        mlflow.end_run()
        """,
    ],
    5: [
        """
        best = (0, "")
        for name in tumours:
            a, b = tumours.loc[malignant, name], tumours.loc[~malignant, name]
            d = (a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2)
            best = max(best, (abs(d), name))
        a, b = tumours.loc[malignant, best[1]], tumours.loc[~malignant, best[1]]
        mlflow.start_run(run_name="strongest")
        mlflow.log_param("column", best[1])
        mlflow.log_metric("d", (a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / 2))
        mlflow.end_run()
        """,
        """
        groups = tumours.groupby(malignant)
        d = groups.mean().diff().loc[True] / np.sqrt(groups.var().mean())
        with mlflow.start_run(run_name="strongest") as run:
            mlflow.log_params({"column": d.abs().idxmax()})
        mlflow.log_metric("d", d[d.abs().idxmax()], run_id=run.info.run_id)
        """,
    ],
}

_SPREAD = "np.sqrt((a.var() + b.var()) / 2)"
_WELCH = "stats.ttest_ind(a, b, equal_var=False).pvalue"
_CHI = "stats.chi2_contingency(counts).pvalue"
_U = "test.statistic / (len(a) * len(b))"
_LIMIT = "0.05 / len(p_values)"
_METRIC = 'mlflow.log_metric("d", d_of[moved])'

WRONG = {
    1: [
        ("not-started", ""),
        ("duplicates-left", swap('drop_duplicates("bottle").', "")),
        ("unit-left", swap('clean.loc[per_mille, "alcohol"] /= 10', "pass")),
        ("outliers-dropped", swap('clean.loc[per_mille, "alcohol"] /= 10', "clean = clean[~per_mille]")),
        ("converted-too-much", swap('clean.loc[per_mille, "alcohol"] /= 10', 'clean["alcohol"] /= 10')),
        ("gaps-dropped", append('clean.dropna().to_csv(folder / "clean.csv", index=False)')),
        ("gaps-filled", append('clean.fillna(clean.mean()).to_csv(folder / "clean.csv", index=False)')),
        ("rows-lost", append('clean.head(100).to_csv(folder / "clean.csv", index=False)')),
        ("rows-unknown", append('clean.assign(bottle=clean["bottle"] + 1000).to_csv(folder / "clean.csv", index=False)')),
        ("value-changed", append('clean.round(1).to_csv(folder / "clean.csv", index=False)')),
        ("column-missing", append('clean.drop(columns="ash").to_csv(folder / "clean.csv", index=False)')),
        ("file-name", swap("clean.csv", "Clean-.csv")),
    ],
    2: [
        ("not-started", ""),
        ("wrong-columns", append('tests.head(2).to_csv(folder / "tests.csv", index=False)')),
        ("word-unknown", swap('"welch"', '"t"')),
        ("dtype-not-meaning", swap('"chi-square"', '"welch"')),
        ("mean-of-count", swap('"mann-whitney"', '"welch"')),
        ("counted-not-compared", swap('"mann-whitney"', '"chi-square"')),
        ("ranks-of-amount", swap('"welch"', '"mann-whitney"')),
        ("equal-variance", swap(_WELCH, "stats.ttest_ind(a, b).pvalue")),
        ("one-sided", swap(_WELCH, f"{_WELCH} / 2")),
        ("one-sided", swap("stats.mannwhitneyu(a, b)", 'stats.mannwhitneyu(a, b, alternative="greater")')),
        ("mean-of-count", swap('"mann-whitney", test.pvalue', '"mann-whitney", stats.ttest_ind(a, b, equal_var=False).pvalue')),
        ("value-wrong", swap('"mann-whitney", test.pvalue', '"mann-whitney", 0.0')),
        ("yates-in-effect", swap('stats.contingency.association(counts, method="cramer")', "np.sqrt(stats.chi2_contingency(counts).statistic / len(customers))")),
        ("groups-swapped", swap("a.mean() - b.mean()", "b.mean() - a.mean()")),
        ("groups-swapped", swap(_U, f"1 - {_U}")),
        ("not-standardised", swap(f" / {_SPREAD}", "")),
        ("statistic-as-effect", swap(_U, "test.statistic")),
        ("shares-not-counts", swap(_CHI, 'stats.chi2_contingency(pd.crosstab(customers["paperless"], customers["churned"], normalize="index")).pvalue')),
        ("statistic-as-effect", swap('"chi-square", stats.chi2_contingency(counts).pvalue, V', '"chi-square", stats.chi2_contingency(counts).pvalue, stats.chi2_contingency(counts).statistic')),
        ("root-missing", swap('rows.append(("paperless", "chi-square", stats.chi2_contingency(counts).pvalue, V))', 'rows.append(("paperless", "chi-square", stats.chi2_contingency(counts).pvalue, V**2))')),
        ("column-missing", swap('"p", "effect"]', '"p", "size"]')),
        ("spread-by-n", swap(_SPREAD, "np.sqrt((a.var(ddof=0) + b.var(ddof=0)) / 2)")),
        ("ties-left-out", swap(_U, "(a.to_numpy()[:, None] > b.to_numpy()).mean()")),
        ("totals-included", swap(_CHI, 'stats.chi2_contingency(pd.crosstab(customers["paperless"], customers["churned"], margins=True)).pvalue')),
    ],
    3: [
        ("not-started", ""),
        ("no-correction", swap(_LIMIT, "0.05")),
        ("few-questions", swap(_LIMIT, "0.05 / 4")),
        ("losers-listed", swap("p_values < 0.05", "p_values >= 0.05")),
        ("not-a-list", swap("json.dumps(survivors)", "json.dumps({name: 1 for name in survivors})")),
        ("column-unknown", swap("json.dumps(survivors)", "json.dumps([name.upper() for name in survivors])")),
        ("wrong-survivors", swap("json.dumps(survivors)", "json.dumps(survivors[1:])")),
        ("file-broken", swap("json.dumps(survivors)", "str(survivors)")),
    ],
    4: [
        ("not-started", ""),
        ("column-wrong", swap("max(d_of", "min(d_of")),
        ("groups-swapped", swap("late[name].mean() - early[name].mean()", "early[name].mean() - late[name].mean()")),
        ("not-standardised", swap(") / spread", ")")),
        ("statistic-as-effect", swap(_METRIC, 'mlflow.log_metric("d", stats.ttest_ind(late[moved], early[moved], equal_var=False).statistic)')),
        ("metric-as-param", swap('log_metric("d"', 'log_param("d"')),
        ("param-missing", swap('mlflow.log_param("column", moved)', "pass")),
        ("column-unknown", swap('"column", moved', '"column", "price"')),
        ("run-name", swap('run_name="drift"', 'run_name="my drift"')),
        ("run-open", swap('with mlflow.start_run(run_name="drift"):', 'mlflow.start_run(run_name="drift")\nif True:')),
    ],
    5: [
        ("not-started", ""),
        ("groups-swapped", swap("a.mean() - b.mean()", "b.mean() - a.mean()")),
        ("not-standardised", swap(" / np.sqrt((a.var() + b.var()) / 2)", "")),
        ("column-wrong", swap("idxmax()", "idxmin()")),
    ],
}

#: Mutants that are right answers, with the reason. The key is the start of the description.
_INDEX = "a column more, with the numbers of the rows, is no mistake"
_SAME = "Student's test, with the same survivors under every seed that we tried; which test it is, task 2 judges"
EQUIVALENT = {
    1: {
        "line 2: 50 →": "any limit between 15 and 110 finds the same rows",
        "line 4: dropped index=": _INDEX,
        "line 4: False →": _INDEX,
    },
    2: {
        "line 10: dropped method=": "Cramér's V is the default",
        "line 14: dropped index=": _INDEX,
        "line 14: False →": _INDEX,
    },
    3: {"line 2: dropped equal_var=": _SAME, "line 2: False →": _SAME},
}
