# %% [markdown]
# # Pipelines: from a messy table to a model you can trust
#
# **Why was the score on the slide better than the score in the call centre?**
#
# We will build one object that cleans, encodes, scales and predicts, measure it without fooling ourselves, and bring it
# back from a file.
#
# Afterwards you can
# - **build** a pipeline that imputes, encodes and scales each column as it needs;
# - **measure** models for classification, regression and clustering by cross-validation;
# - **detect** leakage, and **repair** it;
# - **save** a pipeline, **reload** it, and **prove** that it predicts the same.
#
# **You need:** lecture {step:start_here}, a little pandas.
#
# **Time:** 14 min to read · 18 min to do
#
# <!-- links -->
#
# ## Recall
#
# One question on an earlier lecture. Click an answer; each one replies.

# %%
from course_utils import lesson

lesson.quiz("pipelines", "recall")

# %% [markdown]
# ## The problem
#
# Jonas delivers the customer table. It has gaps, words among the numbers, columns on different scales, and charges that
# somebody typed in cents. Mira mends all that in eleven cells of her notebook. Aisha, who must run the model every
# night, gets the model without the eleven cells. A **pipeline** is cells and model in one object.
#
# ## Setup

# %% tags=["parameters"]
seed = 0
n_rows = 1200

# %%
import mlflow
import numpy as np
import pandas as pd
from sklearn import ensemble, feature_selection, impute, linear_model, metrics, neighbors
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score, cross_validate, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, PolynomialFeatures, RobustScaler, StandardScaler

from course_utils import data, plots, store

store.connect()
print("Open the UI, from the course folder:", store.ui_command(), sep="\n")

# %% [markdown]
# ## Round 1: one object from raw table to prediction
#
# Here is Jonas's table: one value in ten is missing in three columns, one charge in a hundred is in cents.

# %%
table = data.churn(n_rows, seed, missing=0.1)
table.loc[np.random.default_rng(seed).random(n_rows) < 0.01, "monthly_charges"] *= 100
X, y = table.drop(columns="churned"), table["churned"].astype(int)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=seed)
X_train[["tenure_months", "monthly_charges", "data_gb"]].agg(["count", "mean", "median", "max"]).round(1)

# %% [markdown]
# Compare `mean` and `median` of `monthly_charges`: a few **outliers** pull the mean away from what a typical customer
# pays; the median stays.
#
# A column transformer sends numbers one way and words another. Numbers: fill gaps (*impute*), then scale. Words:
# *one-hot encode*, one 0/1 column for each word; a word never seen in training becomes all zeros instead of an error.
# `fit` learns medians, scales, words and model; `predict` only applies them.
#
# One split gives one number, and luck is in it. **Cross-validation** cuts the training rows into five folds and lets
# each fold be the test once.


# %%
def build(fill, scaler, model):
    numbers = make_pipeline(impute.SimpleImputer(strategy=fill), scaler), make_column_selector(dtype_include="number")
    words = OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")
    return make_pipeline(make_column_transformer(numbers, words), model)


scalers = {"no scaling": "passthrough", "StandardScaler": StandardScaler(), "RobustScaler": RobustScaler()}
# Outliers stay far away after scaling: the usual solver, lbfgs, would stop at a slightly other place on each processor.
pipeline = build("median", scalers["RobustScaler"], linear_model.LogisticRegression(solver="newton-cholesky"))
pipeline.fit(X_train, y_train)
print(X_train.shape[1], "columns go in,", pipeline[:-1].transform(X_train).shape[1], "come out")
folds = cross_val_score(pipeline, X_train, y_train, cv=5, scoring="roc_auc")
print("ROC-AUC of five folds:", *folds.round(3), f"| mean {folds.mean():.3f}, spread {folds.std():.3f}")

# %% [markdown]
# **Predict.** A nearest-neighbours model looks for customers at a small distance. What matters more to it in this
# table: filling by mean or median, or the scaler?

# %%
prediction = "?"  # fill or scaler

# %%
scores = pd.DataFrame(0.0, index=list(scalers), columns=["mean", "median"])
for name, scaler in scalers.items():
    models = [build(fill, scaler, neighbors.KNeighborsClassifier(25)) for fill in scores]
    scores.loc[name] = [cross_val_score(model, X_train, y_train, cv=5, scoring="roc_auc").mean() for model in models]
scores.round(3)

# %% [markdown]
# You should see the scaler matter far more. Unscaled, the charges in cents *are* the distance. `StandardScaler` divides
# by a standard deviation that the outliers blow up; `RobustScaler` uses median and quartiles. Trees need no scaling.
#
# ## Round 2: better columns
#
# Columns can be made, chosen or mixed. **PCA** mixes them into the directions in which *rows* differ most, and never
# looks at the label; **LDA** into those that separate the *classes*. After the table, three kinds of wine
# show the difference.
#
# **Predict.** The breast-cancer data has 30 columns. How many are there with all squares and products of two?

# %%
prediction = 0  # your number

# %%
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis as LDA

forest = ensemble.RandomForestClassifier(50, random_state=seed)
steps = {
    "as they are": "passthrough",
    "polynomial, degree 2": PolynomialFeatures(2, include_bias=False),
    "binning, 5 bins each": KBinsDiscretizer(5, quantile_method="averaged_inverted_cdf"),
    "8 most correlated with the label": feature_selection.SelectKBest(feature_selection.f_classif, k=8),
    "8 most important to a forest": feature_selection.SelectFromModel(forest, max_features=8, threshold=-np.inf),
    "PCA, 8 components": PCA(8, random_state=seed),
    "LDA": LDA(),
}

# %%
cancer = data.bundled("breast_cancer")
cells, benign = cancer.drop(columns="target"), cancer["target"]
rows = {}
for name, step in steps.items():
    model = make_pipeline(StandardScaler(), step, linear_model.LogisticRegression(max_iter=5000))
    auc = cross_val_score(model, cells, benign, cv=5, scoring="roc_auc")
    width = model.fit(cells, benign)[:-1].transform(cells).shape[1]
    rows[name] = {"columns": width, "ROC-AUC": auc.mean(), "spread": auc.std()}
pd.DataFrame(rows).T.astype({"columns": int}).round(4)

# %%
wine = data.bundled("wine")
kinds, chemistry = wine["target"], StandardScaler().fit_transform(wine.drop(columns="target"))
fig, axes = plots.new_figure(1, 2, 9, 4)
separation = {}
for ax, (name, view) in zip(axes, {"PCA": PCA(2), "LDA": LDA(n_components=2)}.items(), strict=True):
    places = view.fit_transform(chemistry, kinds)
    separation[name] = metrics.silhouette_score(places, kinds)
    for kind, color, marker in zip(range(3), plots.COLORS, "os^", strict=False):
        ax.scatter(*places[kinds == kind].T, s=22, color=color, marker=marker, label=f"wine {kind}")
    ax.set(title=f"{name}: silhouette {separation[name]:.2f}", xlabel="component 1", ylabel="component 2")
axes[0].legend()
words = " and ".join(f"{name} (silhouette {value:.2f})" for name, value in separation.items())
plots.show(plots.describe(fig, f"{len(wine)} wines of three kinds in two components of {words}: LDA parts the kinds better."))

# %% [markdown]
# You should see 495 polynomial columns (30 + 30 squares + 435 products), and no gain: these data are close to
# separable already. (With two classes, `f_classif` ranks columns by their correlation with the label.) The habit is
# the lesson: an idea is a step, a step is measured, and the spread says what is noise.
#
# ## Round 3: which model, by which metric, in which file?
#
# | task | metric | reads as |
# |---|---|---|
# | classification | accuracy | share of right answers; misleads when a class is rare |
# | | precision, recall | alarms that are right; cases that are found |
# | | F1 | harmonic mean of the two |
# | | ROC-AUC | chance that a case ranks above a non-case; 0.5 is guessing |
# | regression | MSE, RMSE | squared error; its root, in the target's unit |
# | | MAE | mean absolute error; forgives outliers more |
# | | R² | share of variance explained |
# | clustering | silhouette | −1 to 1, high is good |
# | | Davies–Bouldin | 0 is best |
#
# First classes: is the tumour benign? Then a number: how far does diabetes progress in a year? scikit-learn wants
# "higher is better", so it negates errors; we turn the sign back. Each regression becomes an MLflow run; lecture {step:mlflow_basics}
# explains how.

# %%
from sklearn import naive_bayes, svm, tree


def measure(models, features, target, scoring):
    rows = {}
    for model in models:
        result = cross_validate(make_pipeline(StandardScaler(), model), features, target, cv=5, scoring=scoring)
        rows[type(model).__name__] = {metric: result[f"test_{metric}"].mean() for metric in scoring}
    return pd.DataFrame(rows).T


line, near = linear_model.LogisticRegression(), neighbors.KNeighborsClassifier()
one_tree = tree.DecisionTreeClassifier(random_state=seed)
boosting = ensemble.GradientBoostingClassifier(n_estimators=50, random_state=seed)
classifiers = [line, near, naive_bayes.GaussianNB(), svm.SVC(), one_tree, forest, boosting]
measure(classifiers, cells, benign, ["accuracy", "precision", "recall", "f1", "roc_auc"]).round(3)

# %%
line, brake = linear_model.LinearRegression(), linear_model.Ridge(1.0)
near, trees = neighbors.KNeighborsRegressor(15), ensemble.RandomForestRegressor(50, random_state=seed)
diabetes = data.bundled("diabetes")
patients, progression = diabetes.drop(columns="target"), diabetes["target"]

errors = ["mean_squared_error", "root_mean_squared_error", "mean_absolute_error"]
scoring = {error: f"neg_{error}" for error in errors} | {"r2": "r2"}
found = measure([line, brake, near, trees], patients, progression, scoring)
found[errors] *= -1
found = found.set_axis(["MSE", "RMSE", "MAE", "R2"], axis=1)
found.round(2)

# %%
mlflow.set_experiment("diabetes-models")
for name, row in found.iterrows():
    with mlflow.start_run(run_name=name):
        mlflow.log_metrics(row.to_dict())
print("Lowest RMSE:", found["RMSE"].idxmin(), "| runs logged:", len(found))

# %% [markdown]
# ## Look at the UI
#
# Open the UI with the command from the setup. With *Model training* chosen at the top left, click *Experiments*, then
# `diabetes-models`. Press *Sort: Created* above the table and choose `RMSE` with the arrow up: best first, next week as
# well. With few, noisy rows the forest loses to a line.
#
# Clustering has no label to compare with, so its metrics judge the shape: tight groups, far apart. DBSCAN finds the
# number of groups itself and calls what fits nowhere noise; here the noise counts as one more group.

# %%
from sklearn import cluster, mixture

clusterings = {f"k-means, {k} groups": cluster.KMeans(k, n_init=10, random_state=seed) for k in (2, 3, 4)}
clusterings["agglomerative, 3 groups"] = cluster.AgglomerativeClustering(3)
clusterings["Gaussian mixture, 3 groups"] = mixture.GaussianMixture(3, random_state=seed)
clusterings["DBSCAN (finds the number)"] = cluster.DBSCAN(eps=2.3)
judges = {"silhouette": metrics.silhouette_score, "Davies–Bouldin": metrics.davies_bouldin_score}
groups = {name: model.fit_predict(chemistry) for name, model in clusterings.items()}
shape = {name: {j: judge(chemistry, group) for j, judge in judges.items()} for name, group in groups.items()}
pd.DataFrame(shape).T.round(3)

# %% [markdown]
# Settings can be searched, those of the preparation too: a double underscore leads into a step. **Grid** tries every
# combination, **random** draws some, **Bayesian** (here Optuna) draws where earlier trials did well. Each may try
# twelve; lecture {step:nested_runs} compares them properly. After that, the first pipeline goes into files, and comes back.

# %%
import optuna

optuna.logging.set_verbosity(optuna.logging.WARNING)
model, options = build("median", RobustScaler(), neighbors.KNeighborsClassifier()), {"cv": 3, "scoring": "roc_auc"}
k, fill = "kneighborsclassifier__n_neighbors", "columntransformer__pipeline__simpleimputer__strategy"
space = {k: [5, 10, 20, 40, 60, 80], fill: ["mean", "median"]}


def trial_score(trial):
    chosen = {k: trial.suggest_int(k, 2, 120), fill: trial.suggest_categorical(fill, space[fill])}
    return cross_val_score(model.set_params(**chosen), X_train, y_train, **options).mean()


grid = GridSearchCV(model, space, **options)
drawn = RandomizedSearchCV(model, {**space, k: range(2, 121)}, n_iter=12, random_state=seed, **options)
study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=5))
study.optimize(trial_score, n_trials=12)
for name, search in {"grid": grid.fit(X_train, y_train), "random": drawn.fit(X_train, y_train)}.items():
    print(f"{name}: ROC-AUC {search.best_score_:.4f} with {search.best_params_[k]} neighbours")
print(f"Bayesian: ROC-AUC {study.best_value:.4f} with {study.best_params[k]} neighbours")

# %%
import pickle

import joblib
import skops.io

folder = store.outputs("02_pipelines")
joblib.dump(pipeline, folder / "model.joblib")
skops.io.dump(pipeline, folder / "model.skops")
trusted = skops.io.get_untrusted_types(file=folder / "model.skops")
again = {"pickle": pickle.loads(pickle.dumps(pipeline)), "joblib": joblib.load(folder / "model.joblib")}
again["skops"] = skops.io.load(folder / "model.skops", trusted=trusted)
before = pipeline.predict_proba(X_test)
print("Same predictions:", {name: np.array_equal(before, p.predict_proba(X_test)) for name, p in again.items()})

# %% [markdown]
# **Predict.** Somebody mails you `model.joblib`. Can *loading* it, without predicting, run code of theirs?

# %%
prediction = "?"  # yes or no


# %%
class Harmless:
    def __reduce__(self):  # pickle asks: how do I rebuild you? Answer: call print
        return print, ("This line was printed by loading a file.",)


joblib.dump(Harmless(), folder / "mailed.joblib")
skops.io.dump(Harmless(), folder / "mailed.skops")
joblib.load(folder / "mailed.joblib")

with lesson.expect_error(skops.io.exceptions.UntrustedTypesFoundException):
    skops.io.load(folder / "mailed.skops")
print("Our own model needs trust in", trusted)

# %% [markdown]
# You should see `print` run by `joblib.load`; joblib is pickle, faster with large arrays. It could have been any
# function. Load such files only from people you would let sit at your keyboard. skops builds known types and asks about
# all others; your list `trusted` is the answer, so *read it*.
#
# **ONNX** goes further: it stores the computation as a graph of numeric operations, without Python objects. Other
# languages run it fast, and loading executes nothing. The price: a converter (`skl2onnx`) must know each step, and
# predictions may differ in the seventh digit.
#
# ## Your turn
#
# Replace the three dots by a step that keeps **five principal components**, and run the cell.
#
# <details><summary>One solution</summary>
#
# `PCA(5)`
#
# </details>

# %%
mine = make_pipeline(StandardScaler(), ..., linear_model.LogisticRegression())

solved = any(isinstance(step, PCA) and step.n_components == 5 for _, step in mine.steps)
lesson.turn(solved, "the step is PCA, and its first argument is the number of components.")

# %% [markdown]
# ## Pitfalls
#
# Each has a code; the homework's checks use the same ones.
#
# **`leaked-rows`: a step saw the rows that judge.** A hundred labels without meaning, 2,000 columns of noise: nothing
# can be learned. Choose the 20 "best" columns on *all* rows first, and it looks otherwise. Repair: the choice becomes
# a step of the pipeline, fitted inside each fold.

# %%
noise, labels = np.random.default_rng(seed).normal(size=(100, 2000)), np.tile([0, 1], 50)
best20, model = feature_selection.SelectKBest(k=20), linear_model.LogisticRegression()
leaky = cross_val_score(model, best20.fit_transform(noise, labels), labels, scoring="roc_auc")
honest = cross_val_score(make_pipeline(best20, model), noise, labels, scoring="roc_auc")
print(f"ROC-AUC on noise: chosen before splitting {leaky.mean():.2f}, inside the folds {honest.mean():.2f}")

# %% [markdown]
# **`squared-not-root`: the wrong error.** MSE and RMSE have different units, and the `neg_` scorers turn the sign.
# Repair: name the unit, and turn the sign back before you write the number down.

# %%
raw = cross_val_score(line, patients, progression, scoring="neg_root_mean_squared_error").mean()
mse, rmse = found.loc["LinearRegression", ["MSE", "RMSE"]]
print(f"MSE {mse:.0f} points², RMSE {rmse:.1f} points, the scorer says {raw:.1f}")

# %% [markdown]
# **`steps-not-saved`: only the model was saved.** The file holds the last step; the preparation stayed in the notebook.
# Repair: save the pipeline.

# %%
whole = make_pipeline(StandardScaler(), svm.SVC()).fit(cells, benign)
joblib.dump(whole[-1], folder / "bare.joblib")
with lesson.expect_warning(UserWarning):
    bare = joblib.load(folder / "bare.joblib").score(cells, benign)
print(f"accuracy: pipeline {whole.score(cells, benign):.3f}, bare model on raw rows {bare:.3f}")

# %% [markdown]
# ## Quiz

# %%
lesson.quiz("pipelines")

# %% [markdown]
# ## Key points
#
# - A pipeline is preparation and model in one object; a column transformer treats each kind of column its own way.
# - Cross-validation gives a mean and a spread. Choose the metric before you look, and name its unit.
# - Leakage is a step that saw the judging rows. Put every step that learns into the pipeline.
# - Save the pipeline, not the model; compare predictions after loading; load pickles only from people you trust.
#
# ## Next steps
#
# - Do the [homework](../exercises/02_pipelines.ipynb): degrees, folds, files, and a first tracked regression.
# - Next lecture: what an experiment and a run are.
# - Official pages: [scikit-learn on pipelines](https://scikit-learn.org/stable/modules/compose.html),
#   [on persistence](https://scikit-learn.org/stable/model_persistence.html).
# - Optional depth: set `n_rows` to 6000; does the spread of the folds shrink?
