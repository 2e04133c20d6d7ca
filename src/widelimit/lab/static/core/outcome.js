// A prediction beside its outcome, and the gap between them.

import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";
import { typeset } from "lab/core/format.js";
import { said, shown, unit } from "lab/core/grade.js";
import { page } from "lab/core/page.js";
import { Words } from "lab/core/predict.js";
import { Sketch } from "lab/core/sketch.js";

export function Outcome({ prediction, result, onAgain }) {
  const { record, after, why } = result;
  const place = useRef(null);
  // Only after a run: what is recalled when the page opens does not take the focus.
  useEffect(() => after && place.current?.focus({ preventScroll: true }), [after]);
  return html`<div class="outcome" ref=${place} tabindex="-1">
    <dl class="outcome-pair">
      <div><dt>You predicted</dt><dd>${said(prediction, record.prediction)}</dd></div>
      <div><dt>The run gave</dt><dd>${record.text}</dd></div>
      ${record.gap !== null && html`<div><dt>Gap</dt><dd>${gapWords(prediction, record)}</dd></div>`}
    </dl>
    ${prediction.answer === "curve" && record.outcome && html`<${Drawn} prediction=${prediction} record=${record} />`}
    <p class="verdict" data-hit=${record.hit}>${verdict(record)}</p>
    ${record.sentence && html`<p class="outcome-sentence">${typeset(record.sentence)}</p>`}
    ${why && html`<${Words} text=${why} class="why" />`}
    <p class="outcome-record">${origin(record)}</p>
    <div class="buttons">
      ${canLoad() && html`<button class="button" type="button" onClick=${() => load(record)}>See this run in the demo</button>`}
      <button class="button quiet" type="button" onClick=${onAgain}>Predict again</button>
    </div>
  </div>`;
}

function Drawn({ prediction, record }) {
  const { x, y, data } = record.outcome;
  const curves = [{ name: "run", role: "finite", x, y }];
  if (data?.x.length) curves.push({ name: "data", role: "data", ...data, mark: "points" });
  const drawn = record.prediction ?? { x: [x[0], x.at(-1)], y: [0, 0] };
  return html`<${Sketch} points=${drawn} range=${prediction.range} curves=${curves} label="Your curve and the curve of the run" />
    <p class="sketch-key"><span data-role="mine">${record.prediction ? "your curve" : "the axis"}</span> <span data-role="finite">the run</span></p>
    <details class="details"><summary>The two curves as a table</summary><div class="table" tabindex="0" role="group" aria-label="The two curves"><table>
      <thead><tr><th scope="col">x</th><th scope="col">you</th><th scope="col">run</th></tr></thead>
      <tbody>${drawn.x.map((one, i) => html`<tr><th scope="row">${shown(one)}</th><td>${record.prediction ? shown(drawn.y[i]) : "—"}</td><td>${shown(nearest(record.outcome, one))}</td></tr>`)}</tbody>
    </table></div></details>`;
}

const nearest = ({ x, y }, where) => y[x.reduce((best, one, i) => (Math.abs(one - where) < Math.abs(x[best] - where) ? i : best), 0)];

function gapWords(prediction, record) {
  if (prediction.answer === "curve") return `${shown(record.gap)} (root mean square between the curves)`;
  const size = prediction.of === "ratio" ? shown(record.gap) : unit(prediction, record.gap);
  return record.came ? `${size}, that is ${shown((100 * record.gap) / Math.abs(record.came))}\u202f% of the outcome` : size;
}

function verdict(record) {
  if (record.prediction === null) return "Shown without a prediction. It counts for nothing, and that is fine.";
  if (record.hit === null) return "There is no verdict: the quantity does not exist for this run.";
  return record.hit ? "Your prediction was right." : "It came out differently. That is the more useful case: what did you assume?";
}

function origin(record) {
  const day = new Date(record.revealed).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  const version = record.library ? `, widelimit ${record.library}` : "";
  const { width, depth, parameterization, seed } = record.config ?? {};
  return `From the run of ${day}${version}: width ${width}, depth ${depth}, ${named(parameterization)} parameterization, seed ${seed}, ${record.steps} steps. The record stays as it is.`;
}

// A value of the control as the page names it.
function named(parameterization) {
  const control = page.parts.demo?.controls.find((one) => one.key === "parameterization");
  return control?.choices.find((one) => one.value === parameterization)?.label ?? String(parameterization);
}

// The demo is a module of its own; a page without it has no button.
function canLoad() {
  try {
    return Boolean(import.meta.resolve("lab/core/demo.js"));
  } catch {
    return false;
  }
}

async function load(record) {
  const demo = await import("lab/core/demo.js");
  demo.load(record.config, { play: true, scroll: true, focus: true });
}
