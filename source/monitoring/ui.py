"""The clicks of *Look at the UI*."""


def walk(ui):
    ui.start()
    # 1
    ui.experiment("churn-monitoring")
    ui.search("params.region = 'south'")
    # 2
    ui.columns("Dataset", "Source", "auc", "psi_monthly_charges", unfold="Metrics")
    ui.press("auc")
    ui.see("psi_monthly_charges")
    ui.picture()
    # 3
    ui.press("south-15", "link")
    ui.press("Artifacts", "tab")
    ui.press("predictions.parquet")
