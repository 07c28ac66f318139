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
    ui.search('attributes.status = "KILLED"')
    ui.gone("random", "link")
    ui.unfold("optuna")
    ui.see("Created")
    ui.clear_search()
    # 3
    ui.press("Sort: Created", "button")
    ui.press("best_cv_auc", "menuitemcheckbox")
    ui.see("Sort: best_cv_auc", "button")
    ui.columns("Dataset", "Source")
    # 4
    ui.press("optuna", "link")
    ui.see("best_child")
