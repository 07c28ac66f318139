// What jupyterquiz 2.9 leaves out for readers who hear the page or use no mouse: the question names its group of
// answers, and feedback is spoken when it appears.
document.querySelectorAll(".Quiz").forEach((quiz) => {
  const question = quiz.querySelector("[id^=quizQn]");
  const answers = quiz.querySelector(".Answer");
  const feedback = quiz.querySelector(".Feedback, [id^=fb]");
  if (question && answers) {
    answers.setAttribute("role", "radiogroup");
    answers.setAttribute("aria-labelledby", question.id);
  }
  if (feedback) feedback.setAttribute("role", "status");
});

// myst-nb 1.4 calls every folded part "Toggle hidden content"; without that, its own words name it.
document.querySelectorAll("details.hide > summary").forEach((label) => label.removeAttribute("aria-label"));
