"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    # 1
    ui.registered("churn-registry")
    ui.see("Version 2", "link")
    ui.picture(height=520)
    # 2
    ui.press("Version 2", "link")
    ui.see("Source Run")
    # 3
    ui.tab.go_back()
    # 4
    ui.press("Home", "link")
    ui.experiment("registry-trail")
    ui.columns("decision", "before", "after", "by", "why")
