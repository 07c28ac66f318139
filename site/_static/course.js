// What jupyterquiz 2.9 leaves out for readers who hear the page or use no mouse: the question names its group of
// answers, and feedback is spoken when it appears.
document.querySelectorAll(".Quiz").forEach((quiz) => {
  const question = quiz.querySelector("[id^=quizQn]");
  const answers = quiz.querySelector(".Answer");
  const feedback = quiz.querySelector("div.Feedback, div[id^=fb]"); // a label's id is random, and may begin with fb
  if (question && answers) {
    answers.setAttribute("role", "radiogroup");
    answers.setAttribute("aria-labelledby", question.id);
  }
  if (feedback) feedback.setAttribute("role", "status");
});

// myst-nb 1.4 calls every folded part "Toggle hidden content"; without that, its own words name it.
document.querySelectorAll("details.hide > summary").forEach((label) => label.removeAttribute("aria-label"));

// The theme's side bar is no landmark (sphinx-book-theme 1.4), so its search field and title are outside of all of them.
const bar = document.getElementById("pst-primary-sidebar");
bar?.setAttribute("role", "complementary");
bar?.setAttribute("aria-label", "Course");

// A page is printed in the light theme. In the mode "auto" the browser sees to that; a chosen theme would stay.
const html = document.documentElement;
const paper = matchMedia("print");
paper.addEventListener("change", () => {
  if (html.dataset.mode !== "auto") html.dataset.theme = paper.matches ? "light" : html.dataset.mode;
});

// Which lectures were read to their end: kept in this browser alone, under the names that do not change with numbers.
const READ = "mlflow-course-read";
const lecture = (address) => address.match(/notebooks\/\d\d_(\w+)/)?.[1];
const read = {
  get names() {
    try {
      return new Set(JSON.parse(localStorage.getItem(READ)) || []);
    } catch {
      return new Set(); // a browser that keeps nothing, or something else under our name
    }
  },
  set names(names) {
    try {
      localStorage.setItem(READ, JSON.stringify([...names]));
    } catch {
      // a browser that keeps nothing
    }
  },
};

const name = lecture(DOCUMENTATION_OPTIONS.pagename);
const end = document.querySelector(".prev-next-footer");
if (name && end)
  new IntersectionObserver((seen, observer) => {
    if (!seen.some((part) => part.isIntersecting)) return;
    observer.disconnect();
    read.names = read.names.add(name);
  }).observe(end);

// The start page marks them in its table, and says where to go on.
const showRead = () => {
  document.querySelectorAll(".read, .read-so-far").forEach((mark) => mark.remove());
  const links = [...document.querySelectorAll("#your-path-through-it td:first-child a")];
  const done = links.filter((link) => read.names.has(lecture(link.href)));
  if (!done.length) return;
  done.forEach((link) => link.insertAdjacentHTML("afterend", ' <span class="read">✓ read</span>'));
  const next = links[links.indexOf(done.at(-1)) + 1];
  const line = document.createElement("p");
  line.className = "read-so-far";
  line.append(`You have read ${done.length} of ${links.length} lectures; this browser remembers it. `);
  if (next) {
    line.append("Go on with ", next.cloneNode(true), ". ");
  }
  const forget = document.createElement("button");
  forget.textContent = "Forget it";
  forget.addEventListener("click", () => {
    read.names = new Set();
    showRead();
  });
  line.append(forget);
  links[0].closest(".pst-scrollable-table-container, table").before(line);
};
if (DOCUMENTATION_OPTIONS.pagename === "index") {
  showRead();
  addEventListener("pageshow", showRead); // back from a lecture, a browser shows the page as it was left
}
