"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    ui.experiment("churn-record")
    ui.press("tree", "link")
    ui.see("About this run")
    ui.see("Metrics", "heading")
    ui.see("Parameters", "heading")
    ui.picture()
    ui.back_to_the_list("churn-record")
