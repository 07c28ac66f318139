"""Right and wrong answers to the homework `ml_workflow`."""

from tests.submissions.tools import append, swap

_STAGES = "preparation monitoring collection evaluation features retraining exploration deployment training"

RIGHT = {
    1: [
        # a table, in another order, with spaces and capitals
        f"""
        words = "{_STAGES}".split()
        table = pd.DataFrame({{"stage": [w.title() + " " for w in words], "note": list("ABCDEFGHI")}})
        table[::-1].to_csv(folder / "stages.csv")
        """,
        # as text
        f"""
        lines = ["note,stage"] + [f"{{n.lower()}},{{s}}" for n, s in zip("ABCDEFGHI", "{_STAGES}".split())]
        (folder / "stages.csv").write_text("\\n".join(lines))
        """,
    ],
    2: [
        """
        who = "ml engineer,Governance officer,data engineer,data scientist,ML engineer,data engineer".split(",")
        pd.DataFrame({"ticket": range(1, 7), "role": who}).to_csv(folder / "roles.csv", index=False)
        """,
        """
        table = pd.DataFrame({"ticket": [3.0, 6.0], "role": "data engineer"})
        table = pd.concat([table, pd.DataFrame({"ticket": [1.0, 5.0], "role": "ML engineer"})])
        table.loc[len(table) + 5] = [2, "governance officer"]
        table.loc[len(table) + 9] = [4, "data scientist"]
        table.to_csv(folder / "roles.csv")
        """,
    ],
    3: [
        # all at once
        """
        names = ["paperless", "monthly_charges", "tenure_months"]
        t, p = stats.ttest_ind(left[names], stayed[names], equal_var=False)
        d = (left[names].mean() - stayed[names].mean()) / ((left[names].var() + stayed[names].var()) / 2) ** 0.5
        verdict = np.select([p >= 0.05, t > 0], ["not shown", "more"], "less")
        table = pd.DataFrame({"feature": names, "t": t, "p": p, "d": d.to_numpy(), "verdict": verdict})
        table.to_csv(folder / "t_tests.csv")
        """,
        # by hand
        """
        out = {}
        for f in ["tenure_months", "monthly_charges", "paperless"]:
            a, b = left[f].to_numpy(), stayed[f].to_numpy()
            va, vb = a.var(ddof=1), b.var(ddof=1)
            t = (a.mean() - b.mean()) / np.sqrt(va / len(a) + vb / len(b))
            df = (va / len(a) + vb / len(b)) ** 2
            df /= (va / len(a)) ** 2 / (len(a) - 1) + (vb / len(b)) ** 2 / (len(b) - 1)
            p = 2 * stats.t.sf(abs(t), df)
            verdict = ("More" if t > 0 else "Less") if p < 0.05 else "Not shown"
            out[f] = {"t": t, "p": p, "d": (a.mean() - b.mean()) / np.sqrt(0.5 * (va + vb)), "verdict": verdict}
        pd.DataFrame(out).T.rename_axis("feature").to_csv(folder / "t_tests.csv")
        """,
    ],
    4: [
        # V by hand, true and false
        """
        rows = {}
        for f in ["payment", "internet", "contract"]:
            counts = customers.groupby([f, "churned"]).size().unstack()
            chi2, p, dof, expected = stats.chi2_contingency(counts)
            rows[f] = {"chi2": chi2, "p": p, "dof": dof, "V": np.sqrt(chi2 / counts.to_numpy().sum())}
        table = pd.DataFrame(rows).T.rename_axis("feature")
        table["strongest"] = table.index == table["V"].idxmax()
        table.to_csv(folder / "chi_square.csv")
        """,
        # the table turned, more columns than asked
        """
        rows = []
        for f in ["contract", "internet", "payment"]:
            c = pd.crosstab(customers["churned"], customers[f])
            r = stats.chi2_contingency(c)
            rows.append([f, r.statistic, r.pvalue, stats.contingency.association(c), "no"])
        rows[int(np.argmax([r[3] for r in rows]))][4] = "Yes"
        pd.DataFrame(rows, columns=["feature", "chi2", "p", "V", "strongest"]).to_csv(folder / "chi_square.csv")
        """,
    ],
    5: [
        # one test at a time
        """
        found = []
        for name in candidates:
            a, b = candidates.loc[left.index, name], candidates.loc[stayed.index, name]
            if stats.ttest_ind(a, b, equal_var=False).pvalue * 100 < 0.05:
                found.append(name)
        with open(folder / "survivors.json", "w") as file:
            json.dump(sorted(found), file)
        """,
        # Holm's procedure
        """
        p = stats.ttest_ind(candidates.loc[left.index], candidates.loc[stayed.index], equal_var=False).pvalue
        p = pd.Series(p, index=candidates.columns).sort_values()
        keep = (p < 0.05 / np.arange(100, 0, -1)).cumprod().astype(bool)
        p[keep].index.to_series().to_json(folder / "survivors.json", orient="values")
        """,
    ],
}

_TO_STAGES = 'to_csv(folder / "stages.csv")'

WRONG = {
    1: [
        ("not-started", ""),
        ("file-name", swap("stages.csv", "stage.csv")),
        ("file-broken", '(folder / "stages.csv").write_bytes(b"\\xff\\xfe\\x00")'),
        ("column-missing", swap('rename_axis("note")', 'rename_axis("letter")')),
        ("row-missing", swap('    "I": "training",\n', "")),
        ("row-extra", append('with open(folder / "stages.csv", "a") as file:\n    file.write("J,training\\n")')),
        ("word-unknown", swap('"exploration"', '"EDA"')),
        ("evaluation-not-monitoring", swap('"B": "monitoring"', '"B": "evaluation"')),
        ("monitoring-not-evaluation", swap('"D": "evaluation"', '"D": "monitoring"')),
        ("features-not-preparation", swap('"A": "preparation"', '"A": "features"')),
        ("preparation-not-features", swap('"E": "features"', '"E": "preparation"')),
        ("training-not-retraining", swap('"F": "retraining"', '"F": "training"')),
        ("evaluation-not-exploration", swap('"G": "exploration"', '"G": "evaluation"')),
        ("stage-wrong", swap('"H": "deployment"', '"H": "collection"')),
    ],
    2: [
        ("not-started", ""),
        ("column-missing", swap('name="role"', 'name="who"')),
        ("row-missing", swap('    4: "data scientist",\n', "")),
        ("word-unknown", swap('"ML engineer"', '"MLOps engineer"')),
        ("one-role-for-all", swap("pd.Series(roles", 'pd.Series({n: "data scientist" for n in roles}')),
        ("role-wrong", swap('3: "data engineer"', '3: "ML engineer"')),
        ("role-wrong", swap('1: "ML engineer"', '1: "data scientist"')),
    ],
    3: [
        ("not-started", ""),
        ("column-missing", swap('"d": d, ', "")),
        ("wrong-features", swap('"paperless"', '"senior"')),
        ("not-a-number", swap('"p": test.pvalue', '"p": "small"')),
        ("groups-swapped", swap("(left[feature], stayed[feature]", "(stayed[feature], left[feature]")),
        ("equal-variance", swap(", equal_var=False", "")),
        ("one-sided", swap('"p": test.pvalue', '"p": test.pvalue / 2')),
        ("statistic-as-effect", swap('"d": d', '"d": test.statistic')),
        ("not-standardised", swap(" / spread", "")),
        (
            "other-spread",
            swap(
                "np.sqrt((left[feature].var() + stayed[feature].var()) / 2)",
                "np.sqrt((left[feature].var() * (len(left) - 1) + stayed[feature].var() * (len(stayed) - 1)) / 1498)",
            ),
        ),
        ("rounded", swap('"d": d', '"d": round(d, 2)')),
        ("value-wrong", swap('"t": test.statistic', '"t": 3.0')),
        ("word-unknown", swap('"not shown"', '"equal"')),
        ("chance-as-effect", swap('"not shown" if test.pvalue >= 0.05 else ', "")),
        ("effect-missed", swap('"verdict": verdict', '"verdict": "not shown"')),
        ("wrong-direction", swap("d > 0", "d < 0")),
    ],
    4: [
        ("not-started", ""),
        ("column-missing", swap('"V": V', '"effect": V', 'table["V"]', 'table["effect"]')),
        ("wrong-features", swap('"payment"', '"senior"')),
        ("not-a-number", swap('"V": V', '"V": "large"', 'table["V"] == table["V"].max()', 'table["chi2"] > 100')),
        ("shares-not-counts", swap("contingency(counts)", "contingency(counts.div(counts.sum(axis=1), axis=0))")),
        ("shares-not-counts", swap("contingency(counts)", "contingency(counts / len(customers))")),
        ("shares-not-counts", swap("contingency(counts)", "contingency(counts.div(counts.sum(axis=1) / 100, axis=0))")),
        (
            "totals-included",
            swap(
                "chi2_contingency(counts)",
                'chi2_contingency(pd.crosstab(customers[feature], customers["churned"], margins=True))',
            ),
        ),
        ("statistic-as-effect", swap('"V": V', '"V": test.statistic')),
        ("root-missing", swap('"V": V', '"V": V**2')),
        ("other-effect", swap('"cramer"', '"pearson"')),
        ("other-association", swap('"cramer"', '"tschuprow"')),
        ("value-wrong", swap('"chi2": test.statistic', '"chi2": 100.0')),
        ("word-unknown", swap('"yes", "no"', '"strong", "weak"')),
        ("not-strongest", swap(".max()", ".min()")),
        ("not-strongest", swap('"yes", "no"', '"yes", "yes"')),
    ],
    5: [
        ("not-started", ""),
        ("file-broken", swap("json.dumps(survivors)", "str(survivors)")),
        ("not-a-list", swap("json.dumps(survivors)", "json.dumps(len(survivors))")),
        ("no-correction", swap(" / len(p_values)", "")),
        ("column-unknown", swap("json.dumps(survivors)", 'json.dumps(survivors + ["contract"])')),
        ("wrong-survivors", swap("json.dumps(survivors)", "json.dumps(survivors[:1])")),
    ],
}

_INDEX = "an extra column with row numbers does not disturb"
#: Mutants that are right answers, with the reason. The key is the start of the description.
EQUIVALENT = {
    3: {"line 8: False → True": _INDEX, "line 8: dropped index=": _INDEX},
    4: {
        "line 5: dropped method=": "Cramér's V is the default",
        "line 9: False → True": _INDEX,
        "line 9: dropped index=": _INDEX,
    },
    5: {
        "line 2: False → True": "Student's test lets the same columns survive",
        "line 2: dropped equal_var=": "Student's test lets the same columns survive",
    },
}

# Found by people who attacked the checks.
_ROOT = "np.sqrt((left[feature].var() + stayed[feature].var()) / 2)"
WRONG[3] += [
    ("spread-of-all", swap(_ROOT, "pd.concat([left, stayed])[feature].std()")),
    ("spread-of-one", swap(_ROOT, "stayed[feature].std()")),
    ("spread-by-n", swap("left[feature].var()", "np.var(left[feature])", "stayed[feature].var()", "np.var(stayed[feature])")),
    ("groups-swapped", swap('"d": d', '"d": -d')),
]
