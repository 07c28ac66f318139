"""A tracking server for a class or a team. The folder can be deleted; its verb goes with it."""
