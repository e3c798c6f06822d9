"use strict";
// Predict, observe, explain: a story sets the controls once a guess was made, or without one.

function tellStories(page) {
  for (const story of document.querySelectorAll(".story")) {
    const after = story.querySelector(".after");
    const meetGuess = () => {
      const guess = story.querySelector("input:checked")?.value ?? "none";
      for (const answer of after.querySelectorAll("[data-choice]"))
        answer.hidden = answer.dataset.choice !== guess;
    };
    story.addEventListener("change", meetGuess); // unseen until the picture has answered
    story.querySelector("button").addEventListener("click", () => {
      const { setting, remarks } = parseSetting(story.dataset.setting, page.numbers.axes, page.about.start);
      page.show({ ...page.state, setting, remarks, pinned: null });
      meetGuess();
      after.hidden = false;
      if (document.getElementById("charts").getBoundingClientRect().top > innerHeight) {
        const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
        after.scrollIntoView({ behavior: calm ? "auto" : "smooth" });
      }
    });
  }
}
