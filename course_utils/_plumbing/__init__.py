"""What no lecture shows and no learner calls."""
