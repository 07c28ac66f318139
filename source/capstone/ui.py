"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    ui.experiment("churn-project")
    # 1
    ui.unfold("search")
    ui.picture(height=560)
    # 2
    ui.press("report", "link")
    ui.press("Artifacts", "tab")
    ui.press("report.md")
    # 3
    ui.registered("churn-project-model")
