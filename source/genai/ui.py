"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start("GenAI")
    ui.experiment("care-assistant")
    if not ui.in_the_lab:
        ui.press("Got it", "button")
    # 1
    ui.press("Traces", "link")
    ui.search("roaming", "Search traces by id, input, or output")
    ui.page.get_by_text("Do you sell insurance").last.wait_for(state="hidden")
    ui.page.get_by_text("roaming").locator("visible=true").last.click()
    ui.used.add("Assess")
    ui.page.get_by_role("button", name="Assess trace").click()
    ui.used.add("helpful")
    ui.page.get_by_text("helpful", exact=True).last.wait_for()
    ui.page.get_by_text("helpful", exact=True).last.locator("xpath=following::button[2]").click()  # after the +
    ui.contains("No page speaks of roaming")
    ui.picture()
    ui.press("find_page")
    ui.contains("Inputs")
    ui.press("write")
    ui.page.get_by_role("button", name="Close trace panel").click()
    # 2
    ui.press("Prompts", "link")
    ui.press("care-answer", "link")
    ui.press("Compare")
    ui.press("Text")
    # 3
    ui.press("Evaluation runs", "link")
    ui.press("strict")
