"""``python -m course_runner.cli``: the ``course`` command where no script of that name is on the path."""

from course_runner.cli.app import main

if __name__ == "__main__":
    main()
