"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start("GenAI")
    ui.experiment("care-assistant")
    # 1
    ui.press("Traces", "link")
