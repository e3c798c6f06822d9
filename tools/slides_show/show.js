/* Starts a show: typesets its formulas, then lets reveal.js take over. No part needs a network. */
"use strict";

const PAGE = 0.8; // of the show's height, by which a slide that is taller scrolls
const STEP = 5; // pixels: what rounding may leave
const SIZES = [30, 26, 22]; // pixels of type, on a show of 1280 by 720

function scrollsOn(slide) {
  return slide.scrollTop + slide.clientHeight < slide.scrollHeight - STEP;
}

function scroll(slide, pages) {
  const behavior = Reveal.getConfig().transition === "none" ? "auto" : "smooth";
  slide.scrollBy({ top: pages * PAGE * slide.clientHeight, behavior });
}

/* A slide that is taller than the show is read to its end before the next one comes. */
function forward() {
  const slide = Reveal.getCurrentSlide();
  if (scrollsOn(slide)) scroll(slide, 1);
  else Reveal.next();
}

function back() {
  const slide = Reveal.getCurrentSlide();
  if (slide.scrollTop > STEP) scroll(slide, -1);
  else Reveal.prev();
}

function mark() {
  const slide = Reveal.getCurrentSlide();
  document.querySelector(".more").classList.toggle("shown", scrollsOn(slide));
}

/* Sets a slide in the largest type in which it fits, or else in the smallest, and lets it scroll. */
function fit() {
  const slide = Reveal.getCurrentSlide();
  for (const size of SIZES) {
    slide.style.fontSize = `${size}px`;
    if (!scrollsOn(slide) && !cut(slide)) break;
  }
  if (scrollsOn(slide)) slide.tabIndex = 0;
  else slide.removeAttribute("tabindex");
  mark();
}

function cut(slide) {
  const lines = [...slide.querySelectorAll(".highlight pre")];
  return lines.some((line) => line.scrollWidth > line.clientWidth);
}

/* A slide without a heading is told by that of the section which it goes on with. */
function headSlides() {
  let section = "";
  for (const slide of document.querySelectorAll(".slides section > section")) {
    const headings = slide.querySelectorAll("h1, h2");
    if (headings.length) section = headings[headings.length - 1].textContent;
    else slide.insertAdjacentHTML("afterbegin", `<p class="section">${section}</p>`);
  }
}

/* The speaker's window has neither fonts nor style sheet of MathJax; MathML it can show itself. */
function speakFormulas() {
  for (const spoken of document.querySelectorAll("aside.notes .MJX_Assistive_MathML")) {
    const math = spoken.querySelector("math");
    spoken.closest(".MathJax_Display, .MathJax").replaceWith(math);
  }
  for (const rest of document.querySelectorAll("aside.notes :is(.MathJax_Preview, script)")) {
    rest.remove();
  }
}

function start() {
  document.body.classList.remove("typesetting");
  speakFormulas();
  headSlides();
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  Reveal.initialize({
    width: 1280,
    height: 720,
    margin: 0,
    maxScale: 4,
    center: false,
    hash: true,
    slideNumber: "c/t",
    navigationMode: "linear",
    transition: still ? "none" : "slide",
    backgroundTransition: "none",
    keyboard: { 32: forward, 34: forward, 40: forward, 33: back, 38: back },
    plugins: [RevealNotes],
  });
  Reveal.on("ready", fit);
  Reveal.on("slidechanged", fit);
  Reveal.on("fragmentshown", ({ fragment }) => fragment.scrollIntoView({ block: "nearest" }));
  for (const slide of document.querySelectorAll(".slides section")) {
    slide.addEventListener("scroll", mark);
    slide.addEventListener("toggle", fit, true); // a solution that is opened
  }
}

document.body.classList.add("typesetting"); // all slides laid out, so that formulas can be measured
MathJax.Hub.Config({
  extensions: ["AssistiveMML.js"],
  tex2jax: { inlineMath: [["$", "$"]], displayMath: [["$$", "$$"]], processEscapes: true },
  "HTML-CSS": { availableFonts: [], webFont: "STIX-Web", imageFont: null },
  menuSettings: { inTabOrder: false },
  TeX: { Macros: { mathcal: ["\\mathit{#1}", 1] } }, // the one script font that is not there
  messageStyle: "none",
});
MathJax.Hub.Configured();
MathJax.Hub.Queue(() => document.fonts.ready.then(start)); // what fits depends on the type
