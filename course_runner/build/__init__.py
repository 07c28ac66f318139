"""From reviewed text to built notebooks, and what makes one stale."""
