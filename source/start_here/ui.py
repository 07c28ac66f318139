"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    ui.see("GenAI")
    ui.experiment("first-steps")
    ui.press("hello", "link")
    ui.see("Metrics", "heading")
    ui.see("Parameters", "heading")
    ui.see("lectures")
    ui.see("team")
    ui.see("About this run")
    ui.see("Run ID")
    ui.picture()
    ui.back_to_the_list("first-steps")
    ui.used.add("Search experiments")
    ui.page.get_by_placeholder("Search experiments").fill("first")
