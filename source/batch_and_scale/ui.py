"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    # 1
    ui.experiment("churn-batch")
    ui.press("C-0.1-rows-1200", "link")
    # 2
    ui.press("Artifacts", "tab")
    ui.press("executed")
    ui.page.get_by_text(".ipynb").locator("visible=true").first.click()
    ui.contains('"cells"')
    # 3
    ui.back_to_the_list("churn-batch")
    ui.choose("churn-weekly")
    ui.see("2026-11-30-attempt-1", "link")
    ui.picture(height=380)
