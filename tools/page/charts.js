"use strict";
// Fills the charts, which charts.py described, and says in words what they show.

const MARKS = 16; // at most, from the first layer of all to the last: more would run together

/** Values within the axis, and marks where they lie beyond it, or some of many. */
function withinAxis(values, first, { limits: [low, high], layers }, curve, line, rows) {
  const stride = Math.ceil(layers / MARKS);
  let beyond = 0;
  values.forEach((value, place) => {
    const layer = first + place;
    const inside = Number.isNaN(value) ? null : Math.min(Math.max(value, low), high);
    rows.curves.push({ layer, value: inside, curve, line });
    if ((value > high || value < low) && beyond++ % stride === 0)
      rows.edges.push({ layer, value: inside, curve, beyond: value > high ? "above" : "below" });
  });
}

class Chart {
  constructor(panel, numbers, view) {
    this.panel = panel;
    this.numbers = numbers;
    this.view = view;
    this.remark = document.getElementById(`remark-${panel.name}`);
    this.predicted = `${panel.series[0].field}.mean` in numbers.blocks;
  }

  static async make(panel, numbers) {
    const place = document.getElementById(`chart-${panel.name}`);
    const options = { mode: "vega", renderer: "svg", actions: false, tooltip: false };
    const { view } = await vegaEmbed(place, panel.spec, options);
    const narrow = matchMedia("(max-width: 45rem)"); // as in page.css
    const { heights } = panel;
    const fit = () => view.height(narrow.matches ? heights.narrow : heights.wide).runAsync();
    narrow.addEventListener("change", fit);
    await fit();
    return new Chart(panel, numbers, view);
  }

  /** The data of the chart for a state; see charts.py. */
  rows(state) {
    const { setting, pinned } = state;
    const rows = { curves: [], band: [], edges: [] };
    let line = 0;
    const add = (field, where, curve, marked = true) => {
      const { first } = this.numbers.blocks[field];
      const values = this.numbers.curve(field, where);
      const target = marked ? rows : { ...rows, edges: [] };
      withinAxis(values, first, this.panel, curve, line++, target);
    };
    for (const one of this.panel.series) {
      if (pinned) add(one.field, pinned, one.pinned);
      if (state.theory && this.predicted) this.theory(one.field, state, rows);
      for (const seed of state.others ? this.numbers.axes.seed : [])
        if (seed !== setting.seed) add(one.field, { ...setting, seed }, one.others, false);
    }
    for (const one of this.panel.series) add(one.field, setting, one.curve);
    return rows;
  }

  theory(field, { setting }, rows) {
    const [low, high] = this.panel.limits;
    const { first } = this.numbers.blocks[field];
    const ends = ["mean", "low", "high"].map((end) => this.numbers.curve(`${field}.${end}`, setting));
    const inside = (value) => Math.min(Math.max(value, low), high);
    ends[0].forEach((value, place) => {
      if (Number.isNaN(value)) return;
      const layer = first + place;
      rows.curves.push({ layer, value: inside(value), curve: "theory", line: -1 });
      rows.band.push({ layer, low: inside(ends[1][place]), high: inside(ends[2][place]) });
    });
  }

  draw(state) {
    const rows = this.rows(state);
    this.view.data("curves", rows.curves).data("edges", rows.edges);
    if (this.predicted) this.view.data("band", rows.band);
    this.view.description(this.words(state.setting)).run();
    this.remark.textContent = this.cannotShow(state.setting);
  }

  /** What a curve cannot show: an overflow, or a logarithm of 0. */
  cannotShow(setting) {
    const overflow = this.numbers.overflow(setting);
    if (overflow > setting.depth) return "overflow at the readout";
    if (overflow >= 0) return `overflow at layer ${overflow}`;
    const [{ field }] = this.panel.series;
    const { first } = this.numbers.blocks[field];
    const zeros = this.numbers
      .curve(field, setting)
      .flatMap((value, place) => (value === 0 ? [first + place] : []));
    if (zeros.length < 2) return zeros.length ? `exactly 0 in layer ${zeros[0]}` : "";
    return `exactly 0 in layers ${zeros[0]} to ${zeros.at(-1)}`;
  }

  /** For who cannot see it: where each curve starts and ends. */
  words(setting) {
    const told = this.panel.series.map(({ field, curve }) => {
      const { first, kind } = this.numbers.blocks[field];
      const values = this.numbers.curve(field, setting);
      const [from, to] = [values[0], values.at(-1)].map((value) => inWords(value, kind));
      return `${curve}: ${from} at layer ${first}, ${to} at layer ${setting.depth}`;
    });
    return `${this.panel.title}. ${told.join("; ")}.`;
  }
}

/** A number as table and words show it: a count in full, else two digits, which packing leaves. */
function inWords(value, kind) {
  if (Number.isNaN(value)) return "none";
  if (!Number.isFinite(value)) return "overflow";
  if (value === 0 || kind === "count") return String(value);
  return value >= 0.01 && value < 100 ? String(Number(value.toPrecision(2))) : value.toExponential(1);
}
