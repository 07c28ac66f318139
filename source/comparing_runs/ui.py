"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    # 1
    ui.experiment("compare-forests")
    ui.search("params.max_depth = '10'")
    ui.see("5 matching runs")
    ui.see("Dataset")
    ui.clear_search()
    # 2
    ui.see("Run Name")
    ui.page.get_by_role("checkbox", name="Select all runs").check()
    ui.press("Compare", "button")
    ui.see("Parallel Coordinates Plot")
    ui.picture()
    ui.press("Contour Plot")
    # 3
    ui.press("Show diff only")
    ui.see("Parameters")
    # 4
    ui.back_to_the_list("compare-forests")
    ui.choose("compare-boosting")
    ui.press("120-rounds", "link")
    ui.press("Model metrics", "tab")
