"""How a homework is judged from a store; tasks are checked with it, and no learner calls it."""
