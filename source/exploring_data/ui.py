"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    ui.experiment("churn-exploration")
    # 1
    ui.press("nine-columns", "link")
    ui.see("Overview", "tab")
    ui.see("Metrics", "heading")
    ui.see("Parameters", "heading")
    # 2
    ui.press("Artifacts", "tab")
    ui.press("tests.csv")
    ui.press("p")
    ui.tab.mouse.move(5, 760)
    ui.page.get_by_text("Click to sort descending").wait_for(state="hidden")
    ui.picture()
