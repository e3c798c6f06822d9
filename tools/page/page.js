"use strict";
// The page: controls move the state, the state moves picture, sentence, table and address.

class Page {
  constructor(about, numbers, charts) {
    this.about = about;
    this.numbers = numbers;
    this.charts = charts;
    this.form = document.getElementById("controls");
    this.table = document.getElementById("numbers-table");
    this.state = parseState(location.hash, numbers.axes, about.start);
    this.form.addEventListener("input", () => this.readControls());
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.on("pin", () => (this.state.pinned = this.state.pinned ? null : this.state.setting));
    this.on("reset", () => (this.state = parseState("", numbers.axes, about.start)));
    this.table.addEventListener("toggle", () => this.fillTable());
    window.addEventListener("hashchange", () => {
      if (location.hash !== this.hash) this.show(parseState(location.hash, numbers.axes, about.start));
    });
    this.show(this.state);
  }

  on(id, change) {
    document.getElementById(id).addEventListener("click", () => {
      change();
      this.show({ ...this.state, remarks: [] });
    });
  }

  /** The state that the controls stand for. Sliders count positions; the others hold values. */
  readControls() {
    const { elements } = this.form;
    const { axes } = this.numbers;
    const setting = {
      activation: elements.activation.value,
      initializer: elements.initializer.value,
      depth: axes.depth[elements.depth.value],
      gain: axes.gain[elements.gain.value],
      seed: Number(elements.seed.value),
    };
    const [theory, others] = [elements.theory.checked, elements.others.checked];
    this.show({ ...this.state, setting, theory, others, remarks: [] });
  }

  /** Move everything to a state. Several in one frame are drawn once. */
  show(state) {
    this.state = state;
    this.writeControls();
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  }

  writeControls() {
    const { setting, theory, others, pinned } = this.state;
    const { elements } = this.form;
    const { axes } = this.numbers;
    for (const name of ["activation", "initializer"]) {
      elements[name].value = setting[name];
      for (const note of document.querySelectorAll(`[data-${name}]`))
        note.hidden = note.dataset[name] !== setting[name];
    }
    for (const name of ["depth", "gain"]) {
      elements[name].value = axes[name].indexOf(setting[name]);
      elements[name].setAttribute("aria-valuetext", String(setting[name]));
      document.getElementById(`${name}-value`).textContent = setting[name];
    }
    elements.seed.value = String(setting.seed);
    elements.theory.checked = theory;
    elements.others.checked = others;
    document.getElementById("pin").setAttribute("aria-pressed", String(Boolean(pinned)));
  }

  draw() {
    this.frame = null;
    for (const chart of this.charts) chart.draw(this.state);
    document.getElementById("sentence").textContent = this.sentence();
    this.fillTable();
    // an address at rest: browsers refuse to change it a hundred times in a few seconds
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      this.hash = stateHash(this.state);
      history.replaceState(null, "", this.hash);
    }, 150);
  }

  describe(setting) {
    const { depth, activation, initializer, gain, seed } = setting;
    return `Depth ${depth}, width ${this.about.width}, ${activation}, ${initializer}, gain ${gain}, seed ${seed}.`;
  }

  sentence() {
    const { setting, pinned, remarks } = this.state;
    const words = [...remarks, this.describe(setting), this.numbers.verdict(setting)];
    if (this.about.fitted.includes(setting.initializer))
      words.push("This start is fitted to the digits, so gain says nothing.");
    else if (Number.isNaN(this.numbers.curve("activation_variance.mean", setting).at(-1)))
      words.push("Theory is silent here.");
    if (pinned) words.push(`In grey: ${this.describe(pinned)}`);
    return words.join(" ");
  }

  fillTable() {
    if (!this.table.open) return;
    const { setting } = this.state;
    const columns = this.about.columns.map(({ field }) => {
      const { first, kind } = this.numbers.blocks[field];
      const values = this.numbers.curve(field, setting);
      return (layer) => (layer < first ? "" : inWords(values[layer - first], kind));
    });
    const rows = Array.from({ length: setting.depth + 1 }, (_, layer) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = layer;
      row.append(head);
      for (const column of columns) row.insertCell().textContent = column(layer);
      return row;
    });
    this.table.querySelector("tbody").replaceChildren(...rows);
    this.table.querySelector("caption").textContent = this.describe(setting);
    const others = this.numbers.axes.seed.filter((seed) => seed !== setting.seed);
    document.getElementById("other-verdicts").replaceChildren(
      ...others.map((seed) => {
        const line = document.createElement("li");
        line.textContent = `Seed ${seed}: ${this.numbers.verdict({ ...setting, seed })}`;
        return line;
      }),
    );
  }
}

async function main() {
  const about = JSON.parse(document.getElementById("about").textContent);
  const numbers = await Numbers.read(about);
  const charts = await Promise.all(about.panels.map((panel) => Chart.make(panel, numbers)));
  const page = new Page(about, numbers, charts);
  tellStories(page);
  window.initlab = page; // for tests, and for the curious in the console
  document.documentElement.dataset.ready = "";
}

function tellFailure(error) {
  document.getElementById("sentence").textContent =
    `This page could not be shown: ${error.message}. It needs a browser of 2023 or newer.`;
  throw error;
}

addEventListener("load", () => main().catch(tellFailure)); // Vega is a module, and ready by then
