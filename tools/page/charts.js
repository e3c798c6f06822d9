"use strict";
// Fills the charts, which charts.py described, and says in words what they show.

/** Values within the axis, and marks where a value lies beyond it. */
function withinAxis(values, first, [low, high], curve, line, rows) {
  values.forEach((value, place) => {
    const layer = first + place;
    const inside = Number.isNaN(value) ? null : Math.min(Math.max(value, low), high);
    rows.curves.push({ layer, value: inside, curve, line });
    if (value > high || value < low)
      rows.edges.push({ layer, value: inside, curve, beyond: value > high ? "above" : "below" });
  });
}

/** What a curve cannot show: an overflow, or a logarithm of 0. */
function remarkOn(values, first, overflow, depth) {
  if (overflow >= 0) return `overflow at ${overflow > depth ? "the readout" : `layer ${overflow}`}`;
  const zeros = values.flatMap((value, place) => (value === 0 ? [first + place] : []));
  if (zeros.length === 0) return "";
  return `exactly 0 in layer${zeros.length > 1 ? `s ${zeros[0]} to ${zeros.at(-1)}` : ` ${zeros[0]}`}`;
}

class Chart {
  constructor(panel, numbers, view) {
    this.panel = panel;
    this.numbers = numbers;
    this.view = view;
  }

  static async make(panel, numbers) {
    const place = document.getElementById(`chart-${panel.name}`);
    const options = { mode: "vega", renderer: "svg", actions: false, tooltip: false };
    return new Chart(panel, numbers, (await vegaEmbed(place, panel.spec, options)).view);
  }

  /** The data of the chart for a state; see charts.py. */
  rows(state) {
    const { setting, pinned } = state;
    const rows = { curves: [], band: [], edges: [], remark: [] };
    let line = 0;
    const add = (field, where, curve, marked = true) => {
      const { first } = this.numbers.blocks[field];
      const values = this.numbers.curve(field, where);
      const target = marked ? rows : { ...rows, edges: [] };
      withinAxis(values, first, this.panel.limits, curve, line++, target);
      return values;
    };
    for (const one of this.panel.series) {
      if (pinned) add(one.field, pinned, "pinned");
      if (state.theory && `${one.field}.mean` in this.numbers.blocks) this.theory(one.field, state, rows);
      for (const seed of state.others ? this.numbers.axes.seed : [])
        if (seed !== setting.seed) add(one.field, { ...setting, seed }, one.others, false);
    }
    this.panel.series.forEach((one, place) => {
      const values = add(one.field, setting, one.curve);
      const { first } = this.numbers.blocks[one.field];
      if (place === 0) {
        const text = remarkOn(values, first, this.numbers.overflow(setting), setting.depth);
        rows.remark.push({ text });
      }
    });
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
    for (const [name, rows] of Object.entries(this.rows(state))) if (this.has(name)) this.view.data(name, rows);
    this.view.description(this.words(state.setting));
    this.view.run();
  }

  has(name) {
    return this.panel.spec.data.some((data) => data.name === name);
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
