// The controls of the demo, as the content lists them.

import { html } from "htm/preact";
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { page } from "lab/core/page.js";
import { asked, change, run } from "lab/core/demo.js";
import { number, whole } from "lab/core/format.js";
import { StepScale } from "lab/parts/demo/stepscale.js";

const WAIT = 110;
const FINE = 240;

/** All controls of a group. */
export function Controls({ group }) {
  const listed = page.parts.demo.controls.filter((control) => control.group === group);
  return html`<div class="controls">${listed.map((control) => html`<${Control} key=${control.key} control=${control} />`)}</div>`;
}

function Control({ control }) {
  const changed = (run.value?.changes.value ?? []).filter((one) => one.control === control.key);
  const Kind = KINDS[control.kind];
  const hint = `demo-hint-${control.key}`;
  return html`<${Kind} control=${control} value=${asked.value[control.key]} hint=${hint}>
    ${control.key === "step" && html`<${StepScale} control=${control} />`}
    <small class="hint" id=${hint}>${control.help}</small>
    ${changed.map((one) => html`<small class="hint error" role="status">You asked for ${one.asked}; ${one.used} is shown. ${one.reason}</small>`)}
  <//>`;
}

// Sliders: how a value becomes a place and back, so that a slider of any kind is a slider of whole numbers.
const SCALES = {
  powers: { to: Math.log2, from: (place) => 2 ** place, size: ({ low, high }) => [Math.log2(low), Math.log2(high)], text: whole },
  log: {
    to: (value, { low, high }) => Math.round((FINE * Math.log(Math.max(value, low) / low)) / Math.log(high / low)),
    from: (place, { low, high }) => Number((low * (high / low) ** (place / FINE)).toPrecision(place === FINE || place === 0 ? 6 : 2)),
    size: () => [0, FINE],
    text: (value) => number(value, 3),
  },
  linear: {
    to: (value, { increment }) => Math.round(value / increment),
    from: (place, { increment }) => Number((place * increment).toPrecision(6)),
    size: ({ low, high, increment }) => [Math.ceil(low / increment), Math.round(high / increment)],
    text: (value) => number(value, 4),
  },
};

/** Where on its slider a value of a control stands, from 0 to 1. */
export function share(control, value) {
  const scale = SCALES[control.kind === "powers" ? "powers" : control.scale];
  const [low, high] = scale.size(control);
  return (scale.to(value, control) - low) / (high - low);
}

function Slider({ control, value, hint, children }) {
  const scale = SCALES[control.kind === "powers" ? "powers" : control.scale];
  const [low, high] = scale.size(control);
  const moving = useSignal(null);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const current = moving.value ?? value;
  const move = (event) => {
    const next = scale.from(Number(event.currentTarget.value), control);
    moving.value = next;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      moving.value = null;
      if (asked.peek()[control.key] !== next) change({ [control.key]: next });
    }, WAIT);
  };
  const text = `${scale.text(current)}${control.unit ? ` ${control.unit}` : ""}`;
  return html`<div class="control" data-control=${control.key}>
    <label for=${`demo-${control.key}`}>${control.label}</label>
    <output for=${`demo-${control.key}`}>${text}</output>
    <input type="range" id=${`demo-${control.key}`} min=${low} max=${high} step="1" value=${scale.to(current, control)}
      aria-valuetext=${text} aria-describedby=${hint} onInput=${move} />
    ${children}
  </div>`;
}

function Few({ control, value, hint, children }) {
  if (control.choices.length > 4) return html`<${Many} control=${control} value=${value} hint=${hint}>${children}<//>`;
  return html`<fieldset class="control" data-control=${control.key} aria-describedby=${hint}>
    <legend>${control.label}</legend>
    <div class="segmented">${control.choices.map(
      (one) => html`<label key=${one.value}><input type="radio" name=${`demo-${control.key}`} value=${one.value} checked=${one.value === value}
        onChange=${() => change({ [control.key]: one.value })} /><span>${one.label}</span></label>`,
    )}</div>
    ${children}
  </fieldset>`;
}

function Many({ control, value, hint, children }) {
  const pick = (event) => change(picked(control.key, event.currentTarget.value));
  return html`<div class="control" data-control=${control.key}>
    <label for=${`demo-${control.key}`}>${control.label}</label>
    <select id=${`demo-${control.key}`} aria-describedby=${hint} value=${value} onChange=${pick}>
      ${control.choices.map((one) => html`<option value=${one.value} selected=${one.value === value}>${one.label}</option>`)}
    </select>
    ${children}
  </div>`;
}

// Own points begin with those that are shown.
function picked(key, value) {
  if (key !== "target" || value !== "own" || asked.peek().x.length >= 2) return { [key]: value };
  const shown = run.peek()?.opening.peek()?.arrays;
  const list = (array) => Array.from(array.data, (one) => Number(one.toFixed(3)));
  return shown ? { target: "own", x: list(shown.x), y: list(shown.y) } : { target: "own", x: [-1, 0, 1], y: [0, 1, 0] };
}

function Switch({ control, value, hint, children }) {
  return html`<div class="control check" data-control=${control.key}>
    <input type="checkbox" id=${`demo-${control.key}`} checked=${value} aria-describedby=${hint}
      onChange=${(event) => change({ [control.key]: event.currentTarget.checked })} />
    <label for=${`demo-${control.key}`}>${control.label}</label>
    ${children}
  </div>`;
}

function Typed({ control, value, hint, children }) {
  const wrong = useSignal("");
  // What is being typed stays, also while answers to earlier changes draw the controls again. (A number would differ
  // from the text of the field, and be written into it at every drawing.)
  const draft = useSignal(null);
  const set = (event) => {
    const next = Number(event.currentTarget.value);
    const good = event.currentTarget.value.trim() !== "" && Number.isInteger(next) && next >= 0;
    wrong.value = good ? "" : `${control.label} is a whole number from ${control.low} to ${whole(control.high)}.`;
    draft.value = good ? null : event.currentTarget.value;
    if (good) change({ [control.key]: next });
  };
  return html`<div class="control" data-control=${control.key}>
    <label for=${`demo-${control.key}`}>${control.label}</label>
    <input type="text" inputmode="numeric" id=${`demo-${control.key}`} value=${draft.value ?? String(value)} aria-describedby=${hint}
      aria-invalid=${wrong.value ? "true" : undefined} onInput=${(event) => { draft.value = event.currentTarget.value; }} onChange=${set} />
    ${wrong.value && html`<small class="error" role="alert">${wrong.value}</small>`}
    ${children}
  </div>`;
}

const KINDS = { powers: Slider, range: Slider, choice: Few, switch: Switch, number: Typed };
