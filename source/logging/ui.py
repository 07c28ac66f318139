"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    ui.experiment("churn-logging")
    # 1
    ui.press("logistic", "link")
    ui.see("Overview", "tab")
    ui.see("Description", "heading")
    ui.see("Edit description", "button")
    ui.see("Source")
    ui.see("Datasets", "heading")
    ui.see("Tags", "heading")
    # 2
    ui.press("Artifacts", "tab")
    ui.press("plots")
    ui.press("wrong.json")
    # 3
    ui.press("Runs", "link")
    ui.press("network", "link")
    ui.press("Model metrics", "tab")
    ui.page.locator(".scatterlayer .trace").nth(1).wait_for()
    ui.picture(height=620)
    # 4
    ui.press("Runs", "link")
    ui.press("boosting", "link")
    ui.press("System metrics", "tab")
