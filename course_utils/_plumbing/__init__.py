"""Plumbing: what no lecture shows and no learner calls."""
