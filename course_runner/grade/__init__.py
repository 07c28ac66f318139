"""Grade what learners handed in, each in a limited process."""
