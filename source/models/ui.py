"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    # 1
    ui.experiment("churn-models")
    # 2
    ui.press("Models", "link")
    ui.see("whom_to_call", "link")
    ui.picture(height=420)
    # 3
    ui.press("whom_to_call", "link")
    ui.see("Overview")
    ui.see("Source run")
    # 4
    ui.press("Artifacts")
    ui.press("MLmodel")
    ui.contains("config")
    ui.press("whom_to_call.py")
