"""The ``course`` command: one thin function per verb."""
