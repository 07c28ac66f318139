"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    # 1
    ui.experiment("churn-forest")
    ui.press("Experiments", "link")
    ui.choose("churn-forest")
    ui.back_to_the_list("churn-forest")
    ui.choose("churn-forest")
    # 2
    ui.see("Created")
    ui.press("Sort: Created", "button")
    ui.press("valid_auc", "menuitemcheckbox")
    ui.see("Sort: valid_auc", "button")
    ui.columns("Dataset", "Source", "max_depth")
    ui.picture(height=480)
    # 3
    ui.search("metrics.valid_auc > 0.72")
    ui.gone("forest-depth-1", "link")
    ui.clear_search()
    ui.see("forest-depth-1", "link")
    ui.see("Sort: Created", "button")
    # 4
    ui.tick("forest-depth-3", "forest-depth-1")
    ui.press("Compare", "button")
    ui.see("Parallel Coordinates Plot")
    ui.back(to="Created")
    # 5
    ui.press("forest-depth-3", "link")
    ui.see("About this run")
    ui.see("Status")
    ui.see("Run ID")
    # 6
    ui.see("Logged models")
    ui.press("forest", "link")
    ui.press("Artifacts", "tab")
    ui.press("MLmodel")
    ui.contains("skops_trusted_types")
    ui.aside("search_runs", why="the name of the function with the same filter")
