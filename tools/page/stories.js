"use strict";
// Predict, observe, explain: a story sets the controls once a guess was made, or without one.

function tellStories(page) {
  for (const story of document.querySelectorAll(".story")) {
    const feedback = story.querySelector(".feedback");
    story.querySelector("button").addEventListener("click", () => {
      const { setting, remarks } = parseSetting(story.dataset.setting, page.numbers.axes, page.about.start);
      page.show({ ...page.state, setting, remarks, pinned: null });
      const guess = story.querySelector("input:checked");
      for (const answer of feedback.querySelectorAll("[data-choice]"))
        answer.hidden = answer.dataset.choice !== (guess?.value ?? "none");
      story.querySelector(".after").hidden = false;
    });
    story.addEventListener("input", (event) => {
      if (!feedback.closest(".after").hidden && event.target.type === "radio")
        for (const answer of feedback.querySelectorAll("[data-choice]"))
          answer.hidden = answer.dataset.choice !== event.target.value;
    });
  }
}
