"""A tracking server for a class or a team. Can be deleted with its verb."""
