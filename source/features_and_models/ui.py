"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    # 1
    ui.experiment("diabetes-models")
    for name in ("dummy", "line"):
        ui.see(name, "link")
    # 2
    ui.press("Sort: Created", "button")
    ui.press("RMSE", "menuitemcheckbox")
    ui.press("Sort: RMSE", "button")
    ui.press("Sort ascending", "button")
    ui.aside("smallest", why="a word stressed")
    # 3
    ui.columns("Dataset", "Source")
    ui.see("RMSE")
    ui.picture(height=420)
    # 4
    ui.press("line", "link")
    ui.see("Metrics", "heading")
    ui.see("RMSE_std")
    ui.press("Artifacts", "tab")
    ui.press("settings.json")
    ui.contains("fit_intercept")
