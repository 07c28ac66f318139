"""What the lectures share and what runs the course; import the room you need: ``from course_utils import data``."""

__version__ = "0.1.0"
