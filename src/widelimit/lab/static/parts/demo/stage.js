// The stage: states, views, the plot, its transport, its numbers, and the controls.

import { html } from "htm/preact";
import { page } from "lab/core/page.js";
import { asked, ignored, load, presets, run, view } from "lab/core/demo.js";
import { Controls } from "lab/parts/demo/controls.js";
import { Keep } from "lab/parts/demo/keep.js";
import { LiveView } from "lab/parts/demo/live.js";
import { OwnPoints } from "lab/parts/demo/points.js";
import { ReadOuts } from "lab/parts/demo/readouts.js";
import { Status, Transport } from "lab/parts/demo/transport.js";
import { Widths } from "lab/parts/demo/widths.js";

const data = page.parts.demo;

/** Shows the state `key` of those worth seeing. */
export function showPreset(key, options) {
  return load(presets[key], { show: data.presets[key].view, ...options });
}

export function Stage() {
  return html`<div class="demo-grid">
    <div class="demo-plot">
      <${Presets} />
      <${Ignored} />
      <${ViewChoice} />
      <div class="demo-picture"><${View} /></div>
      <${Transport} />
      <${Status} />
      <${ReadOuts} />
    </div>
    <div class="demo-side">
      <${Controls} group="main" />
      <${Own} />
      <details class="details demo-more"><summary>More controls</summary><${Controls} group="more" /></details>
      <${Keep} />
    </div>
  </div>`;
}

function Presets() {
  const shown = JSON.stringify(sorted(asked.value));
  return html`<div class="demo-presets" role="group" aria-label="States worth seeing">${Object.values(data.presets).map(
    (one) => html`<button key=${one.key} class="button" type="button" data-preset-short=${one.key} aria-pressed=${JSON.stringify(sorted(one.config)) === shown}
      onClick=${() => showPreset(one.key)}>${one.short}</button>`,
  )}</div>
  <${Watch} shown=${shown} />`;
}

function Watch({ shown }) {
  const preset = Object.values(data.presets).find((one) => JSON.stringify(sorted(one.config)) === shown);
  return html`<p class="demo-watch">${preset ? preset.watch : data.words.free}</p>`;
}

const sorted = (config) => Object.keys(config).sort().map((key) => [key, config[key]]);

function Ignored() {
  if (!ignored.value.length) return null;
  return html`<div class="note" role="status">${ignored.value.map((text) => html`<p>${text}</p>`)}</div>`;
}

function ViewChoice() {
  return html`<div class="segmented demo-views" role="group" aria-label="View">${data.views.map(
    (one) => html`<button key=${one.key} type="button" aria-pressed=${view.value === one.key} onClick=${() => (view.value = one.key)}>${one.label}</button>`,
  )}</div>`;
}

function View() {
  if (view.value === "widths") return html`<${Widths} />`;
  const limit = run.value?.opening.value?.numbers.has_kernel_limit;
  return html`<${LiveView} key=${view.value} name=${view.value} />
    ${limit === 0 && html`<p class="note">${data.words.noLimit}</p>`}`;
}

function Own() {
  return asked.value.target === "own" ? html`<${OwnPoints} />` : null;
}
