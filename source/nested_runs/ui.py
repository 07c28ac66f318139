"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    # 1
    ui.experiment("churn-search")
    for name in ("optuna", "random", "hyperparam_search", "trees-40"):
        ui.see(name, "link")
    ui.unfold("grid")
    ui.picture()
    # 2
    ui.search('params.max_leaf_nodes = "64"')
    ui.gone("hyperparam_search", "link")
    ui.see("grid", "link")
    ui.clear_search()
    # 3
    ui.press("Sort: Created", "button")
    ui.press("best_cv_auc", "menuitemcheckbox")
    ui.see("Sort: best_cv_auc", "button")
    ui.columns("Dataset", "Source")
    # 4
    ui.press("optuna", "link")
    ui.see("best_child")
