"use strict";
// What the controls say, and how the page's address tells it, so that a setting can be linked to.

const FIELDS = ["activation", "initializer", "depth", "gain", "seed"];

/** The choice nearest to a text: the same name, or the nearest number by ratio; else undefined. */
function nearestChoice(choices, text) {
  if (typeof choices[0] === "string") return choices.includes(text) ? text : undefined;
  const number = Number(text);
  if (text === "" || !Number.isFinite(number)) return undefined;
  const distance = (choice) => Math.abs(Math.log((choice + 1e-9) / (Math.max(number, 0) + 1e-9)));
  return choices.reduce((best, choice) => (distance(choice) < distance(best) ? choice : best));
}

/** A setting out of `name=value&…`, with words on what could not be shown as it was asked for. */
function parseSetting(query, axes, start) {
  const setting = { ...start };
  const remarks = [];
  const asked = new URLSearchParams(query);
  for (const name of FIELDS) {
    if (!asked.has(name)) continue;
    const text = asked.get(name);
    const choice = nearestChoice(axes[name], text);
    if (choice === undefined) remarks.push(`There is no ${name} “${text}” here.`);
    else {
      setting[name] = choice;
      if (String(choice) !== text && Number(text) !== choice)
        remarks.push(`This page has no ${name} ${text}; the nearest is ${choice}.`);
    }
  }
  return { setting, remarks };
}

function settingQuery(setting) {
  return FIELDS.map((name) => `${name}=${encodeURIComponent(setting[name])}`).join("&");
}

/** The whole state: a setting, what is drawn beside it, and what is pinned. */
function parseState(hash, axes, start) {
  const asked = new URLSearchParams(hash.replace(/^#/, ""));
  const { setting, remarks } = parseSetting(asked, axes, start);
  const state = { setting, pinned: null, remarks };
  state.theory = asked.get("theory") !== "off";
  state.others = asked.get("others") !== "off";
  if (asked.has("pinned")) {
    const values = asked.get("pinned").split(",");
    const query = FIELDS.map((name, place) => `${name}=${values[place] ?? ""}`).join("&");
    const pinned = parseSetting(query, axes, start);
    state.pinned = pinned.setting;
    state.remarks = [...remarks, ...pinned.remarks];
  }
  return state;
}

function stateHash(state) {
  const parts = [settingQuery(state.setting)];
  if (!state.theory) parts.push("theory=off");
  if (!state.others) parts.push("others=off");
  if (state.pinned) parts.push(`pinned=${FIELDS.map((name) => state.pinned[name]).join(",")}`);
  return `#${parts.join("&")}`;
}
