"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    # 1
    ui.experiment("churn-reproducing")
    # 2
    ui.press("march", "link")
    ui.see("Tags", "heading")
    ui.see("git_commit")
    ui.see("data_sha256")
    # 3
    ui.press("Artifacts", "tab")
    ui.press("code")
    ui.press("edits.diff.txt")
    ui.aside(".txt", ".diff", why="ends of names")
    ui.contains("@@")
    ui.picture()
