"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    # 1
    ui.registered("churn-serving")
    ui.contains("champion")
    # 2
    ui.press("Version 1", "link")
    ui.see("Schema")
    ui.press("Inputs")
    ui.picture()
