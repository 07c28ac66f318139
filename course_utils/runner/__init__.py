"""What runs the course: build notebooks from text, execute them in a batch, compare and report."""
