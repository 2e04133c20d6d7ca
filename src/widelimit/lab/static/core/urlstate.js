// The state of the demo in the query of the address: one declarative list of properties, a version, and words for what
// is not understood. The fragment stays free for anchors.

export const VERSION = 1;

const number = { read: (text) => (text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : undefined), write: String };
const whole = { read: (text) => (/^\d{1,10}$/.test(text) ? Number(text) : undefined), write: String };
const flag = { read: (text) => ({ 1: true, 0: false })[text], write: (value) => (value ? "1" : "0") };
const name = { read: (text) => (/^[a-z0-9_]{1,24}$/.test(text) ? text : undefined), write: String };
const list = {
  read: (text) => {
    const values = text === "" ? [] : text.split(",").map(number.read);
    return values.length <= 64 && values.every((value) => value !== undefined) ? values : undefined;
  },
  write: (values) => values.map((value) => Number(value.toPrecision(6))).join(","),
};

/** Every property of the state, with how it is read and written; `of` says whether it belongs to the configuration. */
export const PROPERTIES = [
  { key: "width", kind: whole, of: "config" },
  { key: "depth", kind: whole, of: "config" },
  { key: "activation", kind: name, of: "config" },
  { key: "parameterization", kind: name, of: "config" },
  { key: "weight_std", kind: number, of: "config" },
  { key: "bias_std", kind: number, of: "config" },
  { key: "target", kind: name, of: "config" },
  { key: "points", kind: whole, of: "config" },
  { key: "x", kind: list, of: "config" },
  { key: "y", kind: list, of: "config" },
  { key: "ridge", kind: number, of: "config" },
  { key: "step", kind: number, of: "config" },
  { key: "freeze", kind: flag, of: "config" },
  { key: "seed", kind: whole, of: "config" },
  { key: "view", kind: name, of: "page" },
  { key: "steps", kind: whole, of: "page" },
];

/** Reads a query; `allowed` lists the words a property may have. Returns { config, view, steps, ignored: [sentence] }. */
export function readState(search, defaults, allowed = {}) {
  const query = new URLSearchParams(search);
  const state = { config: { ...defaults }, view: undefined, steps: 0, ignored: [], given: false };
  if (![...query.keys()].length) return state;
  const version = query.get("v");
  if (version !== null && version !== String(VERSION)) {
    state.ignored.push(`The address is of version ${shown(version)}; this page reads version ${VERSION}. The default state is shown.`);
    return state;
  }
  for (const [key, text] of query) if (key !== "v") readOne(state, key, text, allowed);
  return state;
}

function readOne(state, key, text, allowed) {
  const property = PROPERTIES.find((one) => one.key === key);
  if (!property) return state.ignored.push(`“${shown(key)}” in the address is no part of a state, and was ignored.`);
  const value = property.kind.read(text);
  if (value === undefined || (allowed[key] && !allowed[key].includes(value)))
    return state.ignored.push(`${key} is “${shown(text)}” in the address; ${expected(property, allowed[key])}. It was ignored.`);
  state.given = true;
  if (property.of === "config") state.config[key] = value;
  else state[key] = value;
}

const shown = (text) => (text.length > 24 ? `${text.slice(0, 24)}…` : text);

function expected({ kind }, words) {
  if (words) return `expected one of ${words.join(", ")}`;
  if (kind === whole) return "expected a whole number";
  if (kind === flag) return "expected 0 or 1";
  if (kind === list) return "expected numbers separated by commas";
  return kind === number ? "expected a number" : "expected a word";
}

/** Writes a state as a query that starts with “?”, or "" for the default state. */
export function writeState({ config, view, steps }, defaults) {
  const parts = [];
  for (const { key, kind, of } of PROPERTIES) {
    const value = of === "config" ? config[key] : { view, steps }[key];
    const usual = of === "config" ? defaults[key] : { view: "function", steps: 0 }[key];
    if (value === undefined || value === null || same(value, usual)) continue;
    if ((key === "x" || key === "y") && config.target !== "own") continue;
    parts.push(`${key}=${kind.write(value)}`);
  }
  return parts.length ? `?${[`v=${VERSION}`, ...parts].join("&")}` : "";
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
