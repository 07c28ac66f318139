"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    # 1
    ui.experiment("ml_workflow_demo")
    ui.unfold("synthetic-logistic_regression")
    ui.see("synthetic-logistic_regression", "link")
    ui.picture(height=520)
    # 2
    ui.press("synthetic-logistic_regression", "link")
    ui.see("Parameters", "heading")
    ui.see("Metrics", "heading")
    ui.press("Artifacts", "tab")
    # 3
    ui.registered("calibrated_logistic_regression")
    ui.press("Version 1", "link")
    ui.see("Source Run")
