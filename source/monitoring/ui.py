"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    # 1
    ui.experiment("churn-monitoring")
    ui.search("params.region = 'south'")
    # 2
    ui.columns("auc", "psi_monthly_charges", unfold="Metrics")
    ui.press("auc")
    ui.picture()
