# %% [markdown]
# # Homework: evaluation
#
# **30 minutes · 4 tasks and a stretch · 8 points.** The tasks are independent of each other. Run every cell as often as you
# like: a check reads what is in the store, and your *latest* value counts. Below each task stands `hw.check(n)`; when you are
# stuck, add a cell with `hw.hint(n)`.
#
# We help Mira's friend at the clinic again: three measurements of breast tumours, real data that comes with scikit-learn.
# The label is `True` for a malignant tumour and `False` for a benign one. Recall is always the recall of the malignant ones:
# which share of them a model calls malignant.
#
# <!-- links -->

# %%
import mlflow
import numpy as np
from mlflow.models import MetricThreshold, make_metric
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from course_utils import data, store
from course_utils.homework import Homework

store.connect()
hw = Homework("evaluation")

tumours = data.bundled("breast_cancer")
malignant = tumours["target"] == 0
tumours = tumours[["mean_texture", "mean_smoothness", "mean_area"]]
X_train, X_valid, y_train, y_valid = train_test_split(
    tumours, malignant, test_size=0.4, stratify=malignant, random_state=data.course_seed()
)


def as_dataset(X, y, name):
    return mlflow.data.from_pandas(X.assign(malignant=y), targets="malignant", name=name)


train_rows = as_dataset(X_train, y_train, "tumours-train")
valid_rows = as_dataset(X_valid, y_valid, "tumours-valid")
no_shap = {"log_model_explainability": False}
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Task 1: small tumours and large ones (2 points)
#
# The next cell trains a logistic regression and stores it as the model `screening`, whose id is `model_id`. Does it find
# the small malignant tumours, too? Record the metric `recall` **on this model**, twice, on two slices of the validation rows:
# - on the data set `tumours-small`: the rows whose `mean_area` is below 700;
# - on the data set `tumours-large`: all others.
#
# The recall is that of the labels that `model.predict` gives, full precision. Log it inside a run, `with
# mlflow.start_run():`, in the experiment `hw-evaluation-slices`, which the cell has set. The run's name is up to you.

# %%
mlflow.set_experiment("hw-evaluation-slices")
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train)
if mlflow.search_logged_models().empty:
    with mlflow.start_run(run_name="training"):
        store.log_model(model, "screening", X_train)
model_id = mlflow.search_logged_models(output_format="list")[0].model_id

# %% tags=["task-1"]
### BEGIN SOLUTION
small = X_valid["mean_area"] < 700

with mlflow.start_run(run_name="slices"):
    for name, chosen in {"tumours-small": small, "tumours-large": ~small}.items():
        X, y = X_valid[chosen], y_valid[chosen]
        recall = recall_score(y, model.predict(X))
        mlflow.log_metric("recall", recall, model_id=model_id, dataset=as_dataset(X, y, name))
### END SOLUTION

# %%
hw.check(1)

# %% [markdown]
# ## Task 2: the best of four (2 points)
#
# The next cell fills the experiment `hw-evaluation-ranking` with four models. Each has the metric `roc_auc` on the training
# rows and on the validation rows. Then Jonas adds a number of his own: he has measured one model on rows that he picked
# himself, and he calls them `tumours-valid`, too.
#
# Find the model with the highest `roc_auc` on **our** validation rows, which `valid_rows` describes, and give this model the
# tag `chosen` with the value `yes`: `mlflow.set_logged_model_tags(model_id, {…})`. If you tagged another one first, set its
# tag to `no`.

# %%
mlflow.set_experiment("hw-evaluation-ranking")
four = {
    "logistic": make_pipeline(StandardScaler(), LogisticRegression()),
    "bayes": make_pipeline(StandardScaler(), GaussianNB()),
    "stump": DecisionTreeClassifier(max_depth=1, random_state=0),
    "deep-tree": DecisionTreeClassifier(random_state=0),
}
picked = (X_valid["mean_area"] < 400) | (X_valid["mean_area"] > 1200)
jonas_rows = as_dataset(X_valid[picked], y_valid[picked], "tumours-valid")
measured = [(valid_rows, X_valid, y_valid), (train_rows, X_train, y_train)]
present = mlflow.search_logged_models(output_format="list")
if sum(len(stored.metrics or ()) >= 2 for stored in present) < 4:  # none, or an earlier try ended
    for stored in present:
        mlflow.MlflowClient().delete_logged_model(stored.model_id)
    for name, candidate in four.items():
        with mlflow.start_run(run_name=name):
            stored = store.log_model(candidate.fit(X_train, y_train), name, X_train)
            extra = [(jonas_rows, X_valid[picked], y_valid[picked])] if name == "stump" else []
            for rows, X, y in measured + extra:
                auc = roc_auc_score(y, candidate.predict_proba(X)[:, 1])
                mlflow.log_metric("roc_auc", auc, model_id=stored.model_id, dataset=rows)

# %% tags=["task-2"]
### BEGIN SOLUTION
ours = {"dataset_name": valid_rows.name, "dataset_digest": valid_rows.digest}
best = mlflow.search_logged_models(
    order_by=[{"field_name": "metrics.roc_auc", "ascending": False, **ours}],
    max_results=1,
    output_format="list",
)[0]
mlflow.set_logged_model_tags(best.model_id, {"chosen": "yes"})
### END SOLUTION

# %%
hw.check(2)

# %% [markdown]
# ## Task 3: a report with a limit (2 points)
#
# The next cell stores a logistic regression once more, now as the model `to-judge` in the experiment
# `hw-evaluation-report`; its address is `uri`.
# - Make a run called `report` there. Inside it, evaluate **the stored model** with `mlflow.models.evaluate`, on the data set
#   `valid_rows`, as a `"classifier"`. Pass `evaluator_config=no_shap`.
# - Let the report contain a metric of your own, `missed`: how many malignant tumours the model calls benign. Its function
#   takes two arguments, called `predictions` and `targets`, **in this order**, and returns a number. MLflow tries it on a
#   single row first, so it has to work there, too.
# - The clinic wants a `recall_score` of at least 0.85. Set the tag `verdict` of the **run** to `passed` or to `refused`.

# %%
mlflow.set_experiment("hw-evaluation-report")
if mlflow.search_logged_models().empty:
    with mlflow.start_run(run_name="training"):
        judged = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train)
        store.log_model(judged, "to-judge", X_train)
to_judge = mlflow.search_logged_models(output_format="list")[0]
uri = f"models:/{to_judge.model_id}"

# %% tags=["task-3"]
### BEGIN SOLUTION
def overlooked(predictions, targets):
    return float((targets & ~predictions).sum())


missed = make_metric(eval_fn=overlooked, greater_is_better=False, name="missed")
limit = MetricThreshold(threshold=0.85, greater_is_better=True)

with mlflow.start_run(run_name="report"):
    result = mlflow.models.evaluate(
        uri, valid_rows, model_type="classifier", extra_metrics=[missed], evaluator_config=no_shap
    )
    try:
        mlflow.validate_evaluation_results({"recall_score": limit}, result)
        mlflow.set_tag("verdict", "passed")
    except mlflow.MlflowException:
        mlflow.set_tag("verdict", "refused")
### END SOLUTION

# %%
hw.check(3)

# %% [markdown]
# ## Task 4: is the lead real? (2 points)
#
# `p_new` and `p_old` are the probabilities of being malignant that a new and an old model give to the validation rows; `truth`
# holds their labels. In the experiment `hw-evaluation-lead`, make a run called `lead` with
# - the metric `lead`: the ROC-AUC of the new model minus that of the old one, on all these rows;
# - the metrics `low` and `high`: the ends of its 95 % interval, that is the percentiles 2.5 and 97.5 of the leads of a
#   **paired** bootstrap with at least 500 draws;
# - the tag `verdict`: `better` when the whole interval is above zero, `worse` when it is below zero, else `undecided`.
#
# The check allows for the chance in your draws.

# %%
truth = y_valid.to_numpy()
new = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train)
old = make_pipeline(StandardScaler(), GaussianNB()).fit(X_train, y_train)
p_new, p_old = (model.predict_proba(X_valid)[:, 1] for model in (new, old))

# %% tags=["task-4"]
mlflow.set_experiment("hw-evaluation-lead")
### BEGIN SOLUTION
rng, leads = np.random.default_rng(0), []
for _ in range(500):
    rows = rng.integers(0, len(truth), len(truth))
    leads.append(roc_auc_score(truth[rows], p_new[rows]) - roc_auc_score(truth[rows], p_old[rows]))
lead = roc_auc_score(truth, p_new) - roc_auc_score(truth, p_old)
low, high = np.percentile(leads, [2.5, 97.5])

with mlflow.start_run(run_name="lead"):
    mlflow.log_metrics({"lead": lead, "low": low, "high": high})
    mlflow.set_tag("verdict", "better" if low > 0 else "worse" if high < 0 else "undecided")
### END SOLUTION

# %%
hw.check(4)

# %% [markdown]
# ## Stretch: somebody else's model (no points)
#
# A supplier does not hand out its model, only a table of answers. The next cell makes the table `answers`, with the columns
# `malignant` (the truth) and `says` (what the supplier says), and an entry `supplier` for a model that is kept elsewhere.
# Let `mlflow.models.evaluate` judge the table so that its metrics hang **on the model** `supplier`, with a data set called
# `supplier-answers`.

# %%
mlflow.set_experiment("hw-evaluation-supplier")
answers = X_valid.assign(malignant=y_valid, says=X_valid["mean_area"] > 650)
if mlflow.search_logged_models().empty:
    mlflow.create_external_model(name="supplier")
supplier = mlflow.search_logged_models(output_format="list")[0]

# %% tags=["task-5"]
### BEGIN SOLUTION
table = mlflow.data.from_pandas(
    answers, targets="malignant", predictions="says", name="supplier-answers"
)
with mlflow.start_run(run_name="supplier"):
    mlflow.models.evaluate(
        data=table, model_type="classifier", model_id=supplier.model_id, evaluator_config=no_shap
    )
### END SOLUTION

# %%
hw.check(5)

# %% [markdown]
# ## Where you are

# %%
hw.progress()

# %% [markdown] tags=["solution"]
# **Why it works.** A metric with `model_id` and `dataset` can be found by either of them. A slice is a data set with a name of
# its own. A name alone does not say which rows were meant, since anybody can use it; the digest tells other rows apart.
# A limit turns a report into a decision that a program can take. And a lead counts only when the same rows, drawn again
# and again for both models, hardly ever turn it round: a model can be ahead on these tumours and not be shown to be
# better.
