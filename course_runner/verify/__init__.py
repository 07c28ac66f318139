"""A recorded run once more, and whether its numbers are the same. The folder can be deleted; its verb goes with it."""
