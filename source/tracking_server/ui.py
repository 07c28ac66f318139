"""The clicks of *Look at the UI*, on the server of the lecture, which asks who one is."""

#: What the lecture prints: the address, the name and the password.
SIGN_IN = r"(http://\S+) \| user: (tom) \| password: (\S+)"


def walk(ui):
    ui.start()
    # 1
    ui.aside("tom", why="the name with which the browser signed in")
    # 2
    ui.experiment("churn")
    # 3
    ui.page.get_by_role("checkbox", name="Press Space").first.check()
    ui.press("Delete", "button")
    ui.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    ui.contains("ermission denied")
    ui.picture()
