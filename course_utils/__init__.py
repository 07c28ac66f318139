"""What lectures and homework share; import the module you need: ``from course_utils import data``.

`data`: data sets and splits. `store`: where runs are kept. `plots` and `panels`: figures. `lesson`: quizzes and the answer
to *Your turn*. `homework`: tasks that check themselves. `scores`: how good a classifier is. `serving` and `team`: servers
that a lecture starts. `errors`: what a user's mistake looks like. `_judge` checks answers; `_plumbing` is the rest.
"""

__version__ = "0.1.0"
