"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    # 1
    ui.experiment("churn-pipelines")
    ui.see("all-columns", "link")
    # 2
    ui.press("Sort: Created", "button")
    ui.press("auc_mean", "menuitemcheckbox")
    ui.see("Sort: auc_mean", "button")
    ui.columns("Dataset", "Source")
    ui.see("auc_mean")
    ui.picture(height=370)
    # 3
    ui.press("all-columns", "link")
    ui.see("auc_spread")
    ui.see("auc_mean")
    # 4
    ui.press("Artifacts", "tab")
    ui.press("pipeline.txt")
    ui.contains("SimpleImputer")
