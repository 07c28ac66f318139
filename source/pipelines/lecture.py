# %% [markdown]
# # Pipelines: from a messy table to a model you can trust
#
# **Why was the score on the slide better than the score in the call centre?**
#
# We will build one object that fills gaps, encodes words, scales numbers and predicts, measure it without flattery,
# find the mistake behind Mira's slide, and bring the object back from a file. Folded parts marked *More* can wait.
#
# Afterwards you can
# - **build** a pipeline that prepares each column in the way it needs;
# - **measure** a pipeline by cross-validation, and **say** what the spread of the folds tells you;
# - **find** leakage in somebody's code, and **repair** it;
# - **save** a pipeline, **reload** it, and **prove** that it predicts the same.
#
# **You need:** [Start here]({step:start_here}), for the store and the UI, and a little pandas.
#
# **Time:** 17 min to read · 18 min to do
#
# <!-- links -->

# %% [markdown]
# ## Recall
#
# One question on an earlier lecture. Click an answer; each of them replies.

# %%
from course_utils import lesson

lesson.quiz("pipelines", "recall")

# %% [markdown]
# ## The problem
#
# Mira's slide says ROC-AUC 0.93: her model seems to know very well which customers are about to leave Nordtel. In April
# Aisha, who runs the model every night, measures it on new customers: 0.66.
#
# Only the model went to Aisha, who had to write the eleven cells of Mira's preparation again. And one of these cells
# had looked at rows that it should not have seen. The cure for both: preparation and model become **one object**, a
# **pipeline**.

# %% tags=["hide-input"] jupyter={"source_hidden": true}
from course_utils import plots

boxes = {
    "raw": (0.4, 1.5, "raw table\nas it is stored"),
    "numbers": (3.4, 2.6, "numbers\nfill gaps, cap,\nscale"),
    "words": (3.4, 0.4, "words\nencode as numbers"),
    "model": (6.2, 1.5, "model\nlogistic regression"),
    "answer": (8.9, 1.5, "answer\nprobability\nto leave"),
}
arrows = [
    ("raw", "numbers", ""),
    ("raw", "words", ""),
    ("numbers", "model", ""),
    ("words", "model", ""),
    ("model", "answer", ""),
]
title = "A pipeline takes the raw table and gives the answer"
plots.show(plots.diagram(boxes, arrows, title=title, width=9))

# %% [markdown]
# A pipeline has two verbs. `fit` learns what has to be learned in each box: with what to fill a gap, how far to scale,
# which words exist, and the model. `predict` learns nothing; it applies what was learned.
#
# ## Setup

# %% tags=["parameters"]
seed = 0
n_rows = 2000

# %%
import mlflow
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from course_utils import data, store

store.connect()
rng = np.random.default_rng(seed)

# %% [markdown]
# `store.connect()` is the line `set_tracking_uri` of [Start here]({step:start_here}), and a few settings.
#
# Jonas, the data engineer, delivers the customer table. Three columns have missing values, one in ten, and one monthly
# charge in a hundred was typed in cents instead of euros.

# %%
table = data.churn(n_rows, seed, missing=0.1)
table.loc[rng.random(n_rows) < 0.01, "monthly_charges"] *= 100  # typed in cents
X, y = table.drop(columns="churned"), table["churned"]

X_train, X_test, y_train, y_test = train_test_split(
    X, y, stratify=y, random_state=seed
)
print(f"{len(X_train)} customers to work with, {len(X_test)} kept for the end")
X_train.drop(columns=["senior", "paperless"]).head(4)

# %%
numbers = X_train.select_dtypes("number")
numbers.agg(["count", "median", "mean", "max"]).round(1)

# %% [markdown]
# The columns with a smaller `count` have gaps. Compare the mean of `monthly_charges` with its median: a few charges in
# cents pull the mean up. Such values, far away from all others, are called **outliers**.
#
# ## Round 1: the number to beat
#
# Before you build anything, measure a model that knows nothing: `DummyClassifier` gives everybody the most frequent
# label.
#
# **Predict.** It says "stays" to every customer. What share of its answers is right: about a quarter, a half, or three
# quarters?

# %%
prediction = "?"  # a quarter, a half or three quarters

# %%
from sklearn.dummy import DummyClassifier
from sklearn.metrics import roc_auc_score

dummy = DummyClassifier(strategy="most_frequent").fit(X_train, y_train)
auc = roc_auc_score(y_train, dummy.predict_proba(X_train)[:, 1])
print(f"right answers: {dummy.score(X_train, y_train):.2f}")
print(f"ROC-AUC:       {auc:.2f}")

# %% tags=["claims"]
CHANGES = [{"n_rows": 1200}, {"seed": 3}]

assert auc == 0.5
assert 0.7 < dummy.score(X_train, y_train) < 0.8
assert (numbers.count() < len(X_train)).sum() == 3
assert numbers["monthly_charges"].mean() > 1.5 * numbers["monthly_charges"].median()
assert numbers["monthly_charges"].max() > 1000

# %% [markdown]
# You should see about three quarters, because about three customers in four stay. So a share of 76 % is no praise: a
# model that knows nothing has it, too.
#
# That is why we use another measure, **ROC-AUC**: the chance that a customer who leaves gets a higher probability than
# one who stays. Whoever guesses has 0.5, on any data.
#
# <details class="more"><summary>More: a good model with fewer right answers</summary>
#
# A smaller share than the dummy's is no disgrace either. A good model that is told to miss few leavers gives more
# alarms, and some of them are wrong, so it can have fewer right answers in all.
#
# </details>
#
# ## Round 2: one object from raw table to answer
#
# Each kind of column gets its own steps. Numbers first:
#
# - `SimpleImputer` **imputes**: it fills a gap with a plausible value, here the median of the column.
# - `np.clip` **caps** values, and `FunctionTransformer` makes a step of it. Nordtel's dearest tariff costs 160 euros,
#   so a larger charge is an error, and becomes 160. Ours are in cents, as we know, and could be divided by 100; the cap
#   also meets errors that nobody foresaw, so here we try it alone.
# - `StandardScaler` subtracts the mean and divides by the standard deviation, so that all columns have the same
#   **scale**.
#
# <details class="more"><summary>More: why the median, why a cap</summary>
#
# The median is safer than the mean here, because the charges in cents pull the mean up, as the table above shows.
#
# When you know the reason of an outlier, convert it, as in [Exploring data]({step:exploring_data}). The cap is for the
# nights when nobody looks, and here it has to do alone. It runs over all six columns, but the others stay below 160.
# The limit comes from the tariff list and not from the rows, so this step learns nothing.
#
# </details>

# %%
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

limits = {"a_min": 0, "a_max": 160}
cap = FunctionTransformer(np.clip, kw_args=limits, feature_names_out="one-to-one")

prepare_numbers = make_pipeline(
    SimpleImputer(strategy="median"), cap, StandardScaler()
)

# %% [markdown]
# Words have to become numbers, and how depends on their meaning:
#
# - `contract` has an order, from loose to tight. The **ordinal** encoder writes 0, 1, 2, in an order that *we* give;
#   left alone it would use the alphabet, which is right here by luck. A word that is not in our list is an error.
# - `internet` and `payment` have no order. The **one-hot** encoder makes one column for each word, with a 1 where the
#   word stands. A word that was never seen in training becomes zeros, if we say so.
#
# `make_column_transformer` says which steps get which columns:

# %%
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

order = ["month-to-month", "one-year", "two-year"]
preparation = make_column_transformer(
    (prepare_numbers, list(numbers)),
    (OrdinalEncoder(categories=[order]), ["contract"]),
    (OneHotEncoder(handle_unknown="ignore"), ["internet", "payment"]),
    verbose_feature_names_out=False,  # "contract", not "ordinalencoder__contract"
)

# %% [markdown]
# **Predict.** Nine columns go in: six numbers, `contract`, `internet` (three words) and `payment` (three words). How
# many come out?

# %%
prediction = 0  # your number

# %%
prepared = preparation.fit_transform(X_train)
names = list(preparation.get_feature_names_out())
after = pd.DataFrame(prepared, columns=names, index=X_train.index)
print(f"{X_train.shape[1]} columns go in, {after.shape[1]} come out")
after[names[-7:]].head(4)

# %% tags=["claims"]
assert (X_train.shape[1], after.shape[1]) == (9, 13)
assert not after.isna().any().any()
assert names[-7] == "contract" and set(after["contract"]) == {0, 1, 2}

# %% [markdown]
# You should see 13: six numbers and the contract stay single, and two columns with three words each make six.
#
# The last piece is the model. **Logistic regression** gives each column a weight, adds up, and turns the sum into a
# probability. Notebooks draw it when it stands on the last line of a cell; click a box to see its settings.

# %%
from sklearn.linear_model import LogisticRegression

pipeline = make_pipeline(preparation, LogisticRegression())
pipeline

# %% [markdown]
# It takes raw rows, with gaps and words, and even with a way of payment that it has never seen:

# %%
pipeline.fit(X_train, y_train)
new = X_train.head(2).assign(monthly_charges=np.nan, payment="cryptocurrency")
print("probability to leave:", *pipeline.predict_proba(new)[:, 1].round(2))

# %% tags=["claims"]
assert np.isfinite(pipeline.predict_proba(new)).all()
assert numbers.drop(columns="monthly_charges").max().max() < 160
try:
    pipeline.predict_proba(new.assign(contract="weekly"))
except ValueError as error:
    assert "Found unknown categories" in str(error)
else:
    raise AssertionError("the ordinal encoder took a contract that is not in the list")

# %% [markdown]
# ## Round 3: is it any good?
#
# The pipeline must be judged on customers that it has not seen. **Cross-validation** cuts the training rows into five
# parts, the **folds**. Each fold is the judge once, while a fresh copy of the pipeline is fitted on the other four.
# That gives five scores instead of a single one, which would depend on luck.
#
# We compare three candidates on the *same* folds: fixing the folds once, in one object, makes the comparison fair. Each
# candidate becomes a run, and `log_text`, which is new, keeps its steps and non-default settings as text.
#
# <details class="more"><summary>More: two details of the next cell</summary>
#
# - The text holds the steps and each setting that is not scikit-learn's default. `N_CHAR_MAX` lifts the limit of 700
#   characters that `str` has. A list still ends after 30 entries: log longer ones on their own.
# - pandas' `std` divides by n - 1 and NumPy's by n, unless told `ddof=1`. For five folds this makes a difference.
#
# </details>

# %%
from sklearn.model_selection import StratifiedKFold, cross_val_score

folds = StratifiedKFold(5, shuffle=True, random_state=seed)
only_numbers = make_column_transformer((prepare_numbers, list(numbers)))
candidates = {
    "dummy": dummy,
    "numbers-only": make_pipeline(only_numbers, LogisticRegression()),
    "all-columns": pipeline,
}

mlflow.set_experiment("churn-pipelines")
scores = {}
for name, candidate in candidates.items():
    auc = cross_val_score(candidate, X_train, y_train, cv=folds, scoring="roc_auc")
    with mlflow.start_run(run_name=name):
        mlflow.log_params({"n_rows": n_rows, "data_seed": seed, "folds_seed": seed})
        mlflow.log_metrics({"auc_mean": auc.mean(), "auc_spread": auc.std(ddof=1)})
        mlflow.log_text(candidate.__repr__(N_CHAR_MAX=100_000), "pipeline.txt")
    scores[name] = auc
pd.DataFrame(scores).agg(["mean", "std", "min", "max"]).T.round(3)

# %%
ahead = int((scores["all-columns"] > scores["numbers-only"]).sum())
fig, ax = plots.new_figure(height=2.8)
for row, auc in enumerate(scores.values()):
    ax.scatter(auc, [row] * 5, s=70, color=plots.COLORS[row], alpha=0.7)
    ax.scatter(auc.mean(), row, s=260, color="black", marker="|")
title = f"All columns beat numbers only in {ahead} of 5 folds"
ax.set_title(title, loc="left", weight="bold")
ax.set(xlabel="ROC-AUC of each fold (black: mean)", ylim=(2.5, -0.5))
ax.set_yticks(range(3), list(scores))
ranges = [f"{n} {a.min():.3f} to {a.max():.3f}" for n, a in scores.items()]
plots.show(plots.describe(fig, f"{title}. Folds: {'; '.join(ranges)}."))

# %% tags=["claims"]
assert n_rows < 2000 or ahead == 5
assert ahead >= 4
assert (scores["dummy"] == 0.5).all()
assert scores["numbers-only"].min() > 0.6
assert np.ptp(scores["all-columns"]) > 0.03
weighted = make_pipeline(preparation, LogisticRegression(class_weight="balanced"))
share = cross_val_score(weighted, X_train, y_train, cv=folds).mean()
ranked = cross_val_score(weighted, X_train, y_train, cv=folds, scoring="roc_auc").mean()
assert share < dummy.score(X_train, y_train)
assert abs(ranked - scores["all-columns"].mean()) < 0.01
logged = mlflow.search_runs(max_results=3).set_index("tags.mlflow.runName")
kept = logged["metrics.auc_spread"]
assert np.allclose(pd.DataFrame(scores).std(), kept[list(scores)])
text = mlflow.artifacts.load_text(
    f"{logged.loc['all-columns', 'artifact_uri']}/pipeline.txt"
)
assert "..." not in text and "strategy='median'" in text and "'a_max': 160" in text
assert "two-year" in text and "LogisticRegression" in text

# %% [markdown]
# With 2,000 customers and the seed 0, 1, 2 or 3 you should see all columns ahead in each of the five folds.
#
# The dots of one candidate lie several hundredths apart, although the pipeline is the same. Their standard deviation,
# `std`, is the **spread**: how much a score depends on which customers happened to judge.
#
# A lead that is much smaller than the spread, and that the other one has in some folds, is no reason to choose. Compare
# fold by fold: the same customers judge both.
#
# ### Does scaling matter? Do the outliers?
#
# To see it, we take a model for which scale matters: **nearest neighbours** looks for the 25 customers at the smallest
# *distance*, and says what share of them left.
#
# In the cell below, a step's name is its class in small letters, a double underscore leads to a step inside it, and
# `"passthrough"` takes it out.
#
# **Predict.** Without scaling, with scaling, with capping and scaling: which of the three will be last?

# %%
prediction = "?"  # no scaling, scaling, or capping and scaling

# %%
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier

cap_step = "columntransformer__pipeline__functiontransformer"
scale_step = "columntransformer__pipeline__standardscaler"
variants = {
    "no scaling": {cap_step: "passthrough", scale_step: "passthrough"},
    "scaling": {cap_step: "passthrough"},
    "capping and scaling": {},
}
neighbors = make_pipeline(preparation, KNeighborsClassifier(25))
rows = {}
for name, changed in variants.items():
    model = clone(neighbors).set_params(**changed)
    auc = cross_val_score(model, X_train, y_train, cv=folds, scoring="roc_auc")
    charges = model[0].fit_transform(X_train)[:, list(numbers).index("monthly_charges")]
    middle = np.quantile(charges, 0.9) - np.quantile(charges, 0.1)
    rows[name] = {"ROC-AUC": auc.mean(), "spread": auc.std(ddof=1), "width": middle}
pd.DataFrame(rows).T.round(3)

# %% tags=["claims"]
knn = pd.DataFrame(rows).T
assert knn["ROC-AUC"].idxmin() == "no scaling"
assert knn["ROC-AUC"].drop("no scaling").min() > knn["ROC-AUC"]["no scaling"] + 0.04
assert abs(knn["ROC-AUC"]["scaling"] - knn["ROC-AUC"]["capping and scaling"]) < 0.03
assert knn["width"]["no scaling"] > 30
assert knn["width"]["scaling"] < 0.3 and 2 < knn["width"]["capping and scaling"] < 3

# %% [markdown]
# You should see "no scaling" last, by far: columns with large numbers, such as charges and months, then decide who is
# near, and a contract of 0, 1 or 2 hardly counts. The cap hardly changes the score, only `width`, the middle 80 % of
# the scaled charges: without it, the cents make ordinary customers look almost equal. We keep it for the column's sake,
# and do not claim a better model.
#
# <details class="more"><summary>More: what the cap does, seen in the column "width"</summary>
#
# `width` is the width of the middle 80 % of the charges after preparation. With scaling alone, the cents blow up the
# standard deviation, so ordinary customers come out almost equal. With the cap, the middle 80 % are between two and
# three standard deviations wide.
#
# The *score* hardly notices: the two rows differ by less than 0.03, and with another seed it may be in the other
# direction.
#
# `RobustScaler`, which uses median and quartiles, is another way. Trees need no scaling at all.
#
# </details>
#
# ## Look at the UI
#
# Open the UI: *MLflow UI* among the links at the top, or `course ui` in a terminal in the course folder, then
# <http://127.0.0.1:5001>. When a panel *MLflow Assistant* opens at the right, close it with its cross. Then choose
# *Model training* at the top left.
#
# 1. Click *Experiments* on the left, then `churn-pipelines`. Each candidate is a row.
# 2. Click *Sort: Created* above the table and choose `auc_mean`: the best candidate is now on top. The column of the
#    metric has been added at the far right. To see it without scrolling, open *Columns* and untick *Dataset* and
#    *Source*.
# 3. Click the name `all-columns`. You find `auc_mean` above `auc_spread`, and the parameters that say which customers
#    and which folds were used. With these a colleague can make the same folds again.
# 4. Click **Artifacts**, then `pipeline.txt`: the pipeline that was measured. The browser's back button leads back.
#
# ![The runs of churn-pipelines, sorted by auc_mean, after step 2](../site/_static/pipelines_ui.png)
#
# ## Round 4: the score that was too good
#
# Jonas had sent Mira one more column, the postcode: about 500 different ones for 2,000 customers, too many for one
# column each. A **target** encoder replaces such a word by a number: the share of customers with this postcode who
# left.
#
# Our postcodes are drawn at random, so you know the truth: they say *nothing* about who leaves.

# %%
codes = rng.integers(0, n_rows // 4, n_rows).astype(str)
postcode = pd.Series(codes, index=X.index)

share = y_train.groupby(postcode[y_train.index]).mean()  # Mira's line
slide_train = X_train.assign(postcode_share=postcode[X_train.index].map(share))
slide_train[["contract", "internet", "postcode_share"]].head(3).round(2)

# %% [markdown]
# Mira cross-validates a pipeline that uses the new column. Everything *after* her line is done properly.
#
# **Predict.** Without the postcode the mean was about 0.8. Will it rise, stay or fall with a column of random words?

# %%
prediction = "?"  # rise, stay or fall

# %%
with_share = make_column_transformer(
    (preparation, list(X_train)), (StandardScaler(), ["postcode_share"])
)
slide = make_pipeline(with_share, LogisticRegression())
promised = cross_val_score(slide, slide_train, y_train, cv=folds, scoring="roc_auc")
print(f"Mira's slide: ROC-AUC {promised.mean():.2f}")

# %% tags=["claims"]
assert promised.mean() > 0.9
assert promised.mean() > scores["all-columns"].max()

# %% [markdown]
# You should see a value above 0.9, from a column without any meaning. Mira's line computed the shares from *all*
# training rows. A postcode has about three customers there, so the share of each customer contains the customer's own
# label. The judging fold is judged with the help of its own labels.
#
# This is **leakage**: a step has seen something that it will not have when the model is used. The repair of this kind
# is always the same: whatever *learns* from rows becomes a step of the pipeline, so that `cross_val_score` fits it
# without the judging fold. `TargetEncoder` is such a step.
#
# This does not repair every leak: a pipeline cannot see that a column was filled in after a customer had left, or that
# one customer stands in two folds.
#
# <details class="more"><summary>More: repairs for these two, and what TargetEncoder does</summary>
#
# - Drop a column that is only filled in after a customer has left.
# - Drop a row that is a mere copy. When a customer rightly has several rows, such as one for each month,
#   `StratifiedGroupKFold` keeps them together in one fold.
# - `TargetEncoder` goes further than other steps. While it is fitted, it takes each customer's share from *other*
#   customers, so that the model does not learn to trust a label that is really its own. (Folds as its `cv` need
#   scikit-learn 1.9; before, write `random_state=seed` instead.)
#
# </details>

# %%
from sklearn.preprocessing import TargetEncoder

raw_train = X_train.assign(postcode=postcode[X_train.index])
inside = StratifiedKFold(5, shuffle=True, random_state=seed)
with_encoder = make_column_transformer(
    (preparation, list(X_train)), (TargetEncoder(cv=inside), ["postcode"])
)
repaired = make_pipeline(with_encoder, LogisticRegression())
honest = cross_val_score(repaired, raw_train, y_train, cv=folds, scoring="roc_auc")
print(f"postcode, encoded in the pipeline: ROC-AUC {honest.mean():.2f}")
print(f"without the postcode:              ROC-AUC {scores['all-columns'].mean():.2f}")

# %% tags=["claims"]
assert abs(honest.mean() - scores["all-columns"].mean()) < 0.01

# %% [markdown]
# You should see two numbers that hardly differ: a column of random words neither helps nor hurts. So we choose the
# pipeline without the postcode. Now the test rows may be opened, once. They play the new customers; Mira's model looks
# up their postcodes in the shares of the training rows.

# %%
known = postcode[X_test.index].map(share).fillna(y_train.mean())
slide.fit(slide_train, y_train)
repaired.fit(raw_train, y_train)
chances = {
    "Mira's slide": slide.predict_proba(X_test.assign(postcode_share=known)),
    "postcode as a step": repaired.predict_proba(
        X_test.assign(postcode=postcode[X_test.index])
    ),
    "no postcode": pipeline.predict_proba(X_test),
}
result = pd.DataFrame(
    {
        "promised by folds": [
            promised.mean(), honest.mean(), scores["all-columns"].mean()
        ],
        "new customers": [roc_auc_score(y_test, p[:, 1]) for p in chances.values()],
    },
    index=list(chances),
)
result.round(2)

# %% tags=["claims"]
lost = result["promised by folds"] - result["new customers"]
assert lost["Mira's slide"] > 0.15
assert lost.drop("Mira's slide").abs().max() < 0.07
assert result["new customers"].idxmin() == "Mira's slide"
assert result["new customers"].drop("Mira's slide").min() - result["new customers"]["Mira's slide"] > 0.05

# %% [markdown]
# The same numbers as a picture:

# %%
fig, ax = plots.new_figure(height=2.8)
for column, marker in zip(result, "o|", strict=True):
    color = plots.COLORS[0] if marker == "o" else "black"
    look = {"s": 200, "color": color, "marker": marker, "label": column}
    ax.scatter(result[column], range(3), **look)
gap = result.iloc[0, 0] - result.iloc[0, 1]
title = f"The slide promised {gap:.2f} more than it kept"
ax.set_title(title, loc="left", weight="bold")
ax.set(xlabel="ROC-AUC", ylim=(2.5, -0.5))
ax.set_yticks(range(3), list(result.index))
ax.legend()
words = [f"{n} {a:.2f} and {b:.2f}" for n, (a, b) in result.T.items()]
plots.show(plots.describe(fig, f"{title}. Promised and kept: {'; '.join(words)}."))

# %% [markdown]
# The slide promised more than 0.9, and the call centre got less than without any postcode, because the model had
# learned to lean on a column that contained the answer. The two honest pipelines keep their promise, give or take the
# spread of the folds.
#
# ## Round 5: into a file and back
#
# The pipeline goes to Aisha as a file. `pickle` is Python's own way to write an object; **joblib** uses it and is
# better with large arrays; **skops** was made for models that come from somebody else.
#
# Whichever you take, prove that the loaded pipeline predicts the same:

# %%
import pickle

import joblib

folder = store.outputs("pipelines")
joblib.dump(pipeline, folder / "churn.joblib")
(folder / "churn.pickle").write_bytes(pickle.dumps(pipeline))

loaded = {
    "joblib": joblib.load(folder / "churn.joblib"),
    "pickle": pickle.loads((folder / "churn.pickle").read_bytes()),
}
before = pipeline.predict_proba(X_test)
for name, again in loaded.items():
    print(name, "predicts the same:", (again.predict_proba(X_test) == before).all())

# %% [markdown]
# You should see `True` twice. That proves it only for the Python that wrote the file.
#
# <details class="more"><summary>More: will it load elsewhere, too?</summary>
#
# A file keeps only the *name* of a function. `np.clip` is found wherever NumPy is, but a function that you wrote in a
# notebook is found only in that notebook. Elsewhere loading fails with `Can't get attribute`. Put such functions into a
# module that travels with the file.
#
# </details>
#
# skops asks a question first. The file holds types that it does not know to be harmless, and it builds them only when
# you say that you trust them.

# %%
import skops.io

skops.io.dump(pipeline, folder / "churn.skops")
print(skops.io.get_untrusted_types(file=folder / "churn.skops"))

# %% [markdown]
# Read the list. `numpy.clip` is the function of our cap, and `numpy.dtype` is the imputer's note of the type of its
# numbers. We know where both come from, so we write them down. Do not pass on the list that the file itself gave you:
# then the file decides whether it is trusted.

# %%
trusted = ["numpy.clip", "numpy.dtype"]
again = skops.io.load(folder / "churn.skops", trusted=trusted)
print("skops predicts the same:", (again.predict_proba(X_test) == before).all())

# %% tags=["claims"]
assert skops.io.get_untrusted_types(file=folder / "churn.skops") == trusted
assert all((p.predict_proba(X_test) == before).all() for p in (again, *loaded.values()))

# %% [markdown]
# **Predict.** Somebody mails you a file `model.joblib`. Can *loading* it run code of theirs, before you predict
# anything?

# %%
prediction = "?"  # yes or no


# %%
class Harmless:
    def __reduce__(self):  # pickle asks how to rebuild the object: "call print with …"
        return print, ("This line was printed by loading a file.",)


joblib.dump(Harmless(), folder / "mailed.joblib")
skops.io.dump(Harmless(), folder / "mailed.skops")

joblib.load(folder / "mailed.joblib")
try:
    skops.io.load(folder / "mailed.skops")
except skops.io.exceptions.UntrustedTypesFoundException as error:
    print("skops refuses:", error)

# %% tags=["claims"]
try:
    skops.io.load(folder / "mailed.skops")
except skops.io.exceptions.UntrustedTypesFoundException:
    pass
else:
    raise AssertionError("skops loaded a type that it does not know")

# %% [markdown]
# You should see the printed line: a pickle says which function to call, and loading calls it. Here it was `print`; it
# could have deleted your files. joblib files are pickles, so load either only from people whom you would let work at
# your keyboard. skops refused: only your written list opens the door.
#
# All three formats expect the same version of scikit-learn that wrote the file, so note it beside the file.
#
# <details class="more"><summary>More: ONNX, a format without Python</summary>
#
# **ONNX** is a fourth format. It keeps the arithmetic of a model without Python, so other languages can run it, but it
# needs a converter that knows each step.
#
# </details>
#
# ## Your turn
#
# Replace the three dots by **one line** that puts the imputer's median back to the mean, in a copy of our pipeline. The
# setting is called `strategy`, and its long name begins with `columntransformer__pipeline__simpleimputer__`.
#
# <details><summary>One solution</summary>
#
# `mine.set_params(columntransformer__pipeline__simpleimputer__strategy="mean")`
#
# </details>

# %% tags=["your-turn"]
mine = clone(pipeline)
...
saved = joblib.dump(mine.fit(X_train, y_train), folder / "your-turn.joblib")

# %% tags=["your-turn-solution"]
mine = clone(pipeline)
mine.set_params(columntransformer__pipeline__simpleimputer__strategy="mean")
saved = joblib.dump(mine.fit(X_train, y_train), folder / "your-turn.joblib")

# %%
settings = joblib.load(saved[0]).get_params()
strategy = settings["columntransformer__pipeline__simpleimputer__strategy"]
hint = f"the saved one fills gaps with the {strategy}. set_params takes the long name."
lesson.turn(strategy == "mean", hint)

# %% [markdown]
# ## Pitfalls
#
# The checks of the homework use these codes, too. The mistake of Round 4 is called `leaked-rows`.
#
# **`saved-unfitted`: cross-validated, then saved.** `cross_val_score` fits *copies* and throws them away. The pipeline
# that you gave it is still empty, and so is the file.

# %%
fresh = clone(pipeline)
cross_val_score(fresh, X_train, y_train, cv=folds, scoring="roc_auc")
joblib.dump(fresh, folder / "fresh.joblib")
try:
    joblib.load(folder / "fresh.joblib").predict(X_test)
except Exception as error:
    print(f"{type(error).__name__}:", str(error).split(".")[0])

# %% [markdown]
# To repair it, fit on all training rows after you have measured, and save then.

# %%
joblib.dump(fresh.fit(X_train, y_train), folder / "fresh.joblib")
print(len(joblib.load(folder / "fresh.joblib").predict(X_test)), "answers")

# %% [markdown]
# **`steps-not-saved`: only the model was saved.** The file holds the last step, and the eleven cells stay with Mira.

# %%
joblib.dump(pipeline[-1], folder / "bare.joblib")
bare = joblib.load(folder / "bare.joblib")
try:
    bare.predict(X_test.to_numpy())
except ValueError as error:
    print("ValueError:", str(error).splitlines()[0])

# %% [markdown]
# Here Aisha gets an error and asks. With a table of numbers alone, and no gaps, she could get wrong answers and no
# error. To repair it, save the whole pipeline.
#
# **`other-folds`: two models were measured on different folds.** The next cell measures the *same* pipeline six times,
# each time with other folds.

# %%
means = []
for fold_seed in range(6):
    other = StratifiedKFold(5, shuffle=True, random_state=fold_seed)
    auc = cross_val_score(pipeline, X_train, y_train, cv=other, scoring="roc_auc")
    means.append(auc.mean())
print("one pipeline, six means:", *np.round(means, 3))
print(f"from lowest to highest: {max(means) - min(means):.3f}")

# %% tags=["claims"]
assert max(means) - min(means) > 0.002
try:
    clone(pipeline).predict(X_test)
except Exception as error:
    assert type(error).__name__ == "NotFittedError"

# %% [markdown]
# If two of these were two models, the difference would look like a lead, and it is nothing but the folds. To repair it,
# make one `folds` object with a fixed `random_state`, and give it to every comparison, as in Round 3.

# %%
twice = [
    cross_val_score(pipeline, X_train, y_train, cv=folds, scoring="roc_auc").mean()
    for _ in range(2)
]
print("the same folds, the same mean:", twice[0] == twice[1])

# %% tags=["claims"]
assert twice[0] == twice[1]

# %% [markdown]
# ## In your own project
#
# The same work without any help from this course, on real data: 442 patients, and how far their diabetes went in a
# year. Open *Show the script*, copy it into a file `pipeline.py` in an empty folder and run `python pipeline.py` there,
# in a terminal as in [Start here]({step:start_here}). To see its runs, type `mlflow ui --backend-store-uri
# sqlite:///mlflow.db --port 5002` in the same folder, and open <http://127.0.0.1:5002>.
#
# The measure is the **RMSE**, the root of the mean squared error: roughly by how many points a prediction is off. In
# scikit-learn a higher score is always better, so `neg_root_mean_squared_error` gives the RMSE with a minus; the script
# turns the sign back. A joblib file is for you; for others, `log_model` of [MLflow basics]({step:mlflow_basics}) keeps
# a model.

# %% tags=["own-project"]
"""A pipeline measured against a dummy, saved and proven: python pipeline.py"""

import joblib
import mlflow
import sklearn
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.dummy import DummyRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("diabetes-pipelines")
X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
folds = KFold(5, shuffle=True, random_state=0)

numbers = [column for column in X if column != "sex"]
preparation = make_column_transformer(
    (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
    (OneHotEncoder(handle_unknown="ignore"), ["sex"]),
)
ridge = make_pipeline(preparation, Ridge(alpha=10))
for name, model in {"dummy": DummyRegressor(), "ridge": ridge}.items():
    scoring = "neg_root_mean_squared_error"
    rmse = -cross_val_score(model, X_train, y_train, cv=folds, scoring=scoring)
    with mlflow.start_run(run_name=name):
        mlflow.log_params({"seed": 0, "folds_seed": 0, "sklearn": sklearn.__version__})
        mlflow.log_text(model.__repr__(N_CHAR_MAX=100_000), "pipeline.txt")
        mlflow.log_metrics({"rmse_mean": rmse.mean(), "rmse_spread": rmse.std(ddof=1)})
        joblib.dump(model.fit(X_train, y_train), f"{name}.joblib")
        mlflow.log_artifact(f"{name}.joblib")
    print(f"{name}: RMSE {rmse.mean():.1f} points, spread {rmse.std(ddof=1):.1f}")

again = joblib.load("ridge.joblib")
print("the same:", (again.predict(X_test) == ridge.predict(X_test)).all())

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("pipelines")

# %% [markdown]
# ## Key points
#
# - **How do you build a pipeline?** A column transformer gives numbers and words their own steps, and `make_pipeline`
#   puts the model behind them.
# - **How do you measure it?** Against a dummy, by cross-validation on fixed folds. The spread says how much the score
#   of one fold depends on who judges; compare two pipelines fold by fold.
# - **What is leakage, and what repairs it?** A step learned from rows that judge. Put each step that learns into the
#   pipeline, and it is fitted without them.
# - **How does it reach somebody else?** Fit it, save the whole pipeline, load it, compare predictions. pickle and
#   joblib can run code on loading; skops stops at types unknown to it.
#
# ## Next steps
#
# - Do the [homework]({homework:pipelines}): a polynomial pipeline, a proof, and a cell that leaks.
# - Next lecture: [Features and models]({step:features_and_models}).
# - Official pages: [pipelines and column transformers](https://scikit-learn.org/stable/modules/compose.html),
#   [common pitfalls](https://scikit-learn.org/stable/common_pitfalls.html),
#   [model persistence](https://scikit-learn.org/stable/model_persistence.html).
# - Optional depth: change `n_rows` to 1200, or `seed` to 3, and run all again. In how many folds are all columns ahead
#   then?
