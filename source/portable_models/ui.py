"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    # 1
    ui.experiment("churn-portable")
    # 2
    ui.press("Models", "link")
    ui.press("together", "link")
    ui.press("Artifacts")
    # 3
    ui.press("MLmodel")
    ui.contains("skops_trusted_types")
    # 4
    ui.press("code")
    ui.press("cleaning.py")
    ui.picture()
