"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    ui.experiment("churn-evaluation")
    # 1
    ui.press("Models", "link")
    ui.press("logistic", "link")
    ui.see("Metrics", "heading")
    ui.see("roc_auc")
    ui.picture()
    ui.aside("brier", why="It comes from Your turn, which comes after these steps.")
    # 2
    ui.press("Models", "link")
    ui.press("forest", "link")
    ui.see("worth_in_euro")
    # 3
    ui.press("Runs", "link")
    ui.press("report-forest", "link")
    ui.press("Artifacts", "tab")
