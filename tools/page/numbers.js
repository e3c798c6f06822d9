"use strict";
// What was measured, out of the text that packing.py made. Nothing here knows of the page.

/** The bytes of a script element that holds gzip as base64. */
async function unsqueezed(id) {
  const element = document.getElementById(id);
  const text = atob(element.textContent.trim());
  element.remove(); // the page would hold it twice
  const bytes = new Uint8Array(text.length);
  for (let place = 0; place < bytes.length; place++) bytes[place] = text.charCodeAt(place);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/** Codes, from zigzag differences whose low bytes all stand before the high ones. */
function decoded(bytes, layers) {
  const count = bytes.length / 2;
  const codes = new Int16Array(count);
  for (let start = 0; start < count; start += layers) {
    let code = 0;
    for (let place = start; place < start + layers; place++) {
      const zigzag = bytes[place] | (bytes[count + place] << 8);
      code += (zigzag >> 1) ^ -(zigzag & 1);
      codes[place] = code; // an Int16Array lets what passes 16 bits come round again
    }
  }
  return codes;
}

/** All numbers of the page, by setting. */
class Numbers {
  constructor(about, bytes, verdicts) {
    this.axes = about.axes;
    this.verdicts = verdicts;
    this.codes = about.codes;
    this.steps = about.steps;
    this.blocks = {};
    let start = 0;
    for (const block of about.blocks) {
      const layers = block.shape.at(-1);
      const end = start + 2 * block.shape.reduce((product, size) => product * size, 1);
      this.blocks[block.name] = { ...block, layers, codes: decoded(bytes.subarray(start, end), layers) };
      start = end;
    }
  }

  static async read(about) {
    const [numbers, verdicts] = await Promise.all([unsqueezed("numbers"), unsqueezed("verdicts")]);
    const words = JSON.parse(new TextDecoder().decode(verdicts));
    return new Numbers(about, new Uint8Array(numbers), words);
  }

  /** Where a setting stands among all; without its seed for what theory says. */
  row(setting, withSeed = true) {
    const names = ["activation", "initializer", "gain", ...(withSeed ? ["seed"] : []), "depth"];
    return names.reduce((row, name) => {
      const place = this.axes[name].indexOf(setting[name]);
      if (place < 0) throw new RangeError(`no ${name} ${setting[name]} on this page`);
      return row * this.axes[name].length + place;
    }, 0);
  }

  /** Values by layer, from the block's first layer to the setting's depth. */
  curve(name, setting) {
    const block = this.blocks[name];
    const start = this.row(setting, block.shape.length > 5) * block.layers;
    const codes = block.codes.subarray(start, start + setting.depth + 1 - block.first);
    return Array.from(codes, (code) => this.value(code, block.kind));
  }

  value(code, kind) {
    if (code === this.codes.missing) return NaN;
    if (kind === "count") return code;
    if (code === this.codes.zero) return 0;
    return code === this.codes.infinite ? Infinity : 2 ** (code / this.steps);
  }

  verdict(setting) {
    return this.verdicts[this.row(setting)];
  }

  /** The layer where a value first is not finite, depth + 1 for the readout; -1 for none. */
  overflow(setting) {
    const { codes } = this.blocks.overflow;
    return codes[this.row(setting)];
  }
}
