"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    # 1
    ui.registered("churn-registry")
    ui.see("Version 2", "link")
    ui.find("Version 1", "link").scroll_into_view_if_needed()
    ui.picture()
    # 2
    ui.press("Version 2", "link")
    ui.see("Source Run")
    # 3
    ui.back(to="Version 1")
    # 4
    ui.press("Home", "link")
    ui.experiment("registry-trail")
    ui.columns("model", "alias", "decision", "before", "after", "by", "why")
