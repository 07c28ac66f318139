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
    ui.page.get_by_role("link", name="C=1.0").wait_for()  # it comes last
    ui.picture()
