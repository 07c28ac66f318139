"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    ui.experiment("churn-autolog")
    # 1
    ui.unfold("search-all")
    ui.to_top("search-all")
    ui.picture(height=640)
    ui.unfold("search-default")
    # 2
    ui.press("automatic", "link")
    ui.press("Artifacts", "tab")
    ui.press("training_confusion_matrix.png")
    ui.press("estimator.html")
    ui.press("Runs", "link")
    # 3
    ui.tick("deep-tree", "scored")
    ui.press("Compare", "button")
    ui.press("Show diff only")
    ui.see("max_depth")
