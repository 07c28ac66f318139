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
    ui.see("Parallel Coordinates Plot", "tab")
    ui.see("Metrics:")
    ui.used |= {"Metrics"}
    ui.page.get_by_text("train_auc", exact=True).locator("visible=true").first.locator("xpath=..").locator(
        "svg"
    ).click()
    ui.used |= {"train_auc"}
    ui.page.get_by_role("combobox").nth(1).click()
    ui.tab.keyboard.type("valid_auc")
    ui.tab.keyboard.press("Enter")
    ui.tab.keyboard.press("Escape")
    ui.picture(height=600)
    ui.press("Contour Plot", "tab")
    for axis, name in zip("xyz", ("n_estimators", "max_depth", "valid_auc"), strict=True):
        ui.page.locator(f"#{axis}axis-selector").click()
        ui.press(name, "option")
    # 3
    ui.press("Show diff only")
    ui.see("Parameters")
    # 4
    ui.back_to_the_list("compare-forests")
    ui.choose("compare-boosting")
    ui.press("120-rounds", "link")
    ui.press("Model metrics", "tab")
