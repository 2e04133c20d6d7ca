// A control that runs one witness and shows both sides, the error, the tolerance, and whether it passed.

import { html } from "htm/preact";
import { signal } from "@preact/signals";
import { typeset } from "lab/core/format.js";
import { source } from "lab/core/source.js";

const usual = (value) => value === 0 || (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e4);
const short = (value) => typeset(usual(value) ? Number(value.toPrecision(4)).toString() : value.toExponential(1));

/** The state of one witness: "idle", "running", "done" or "failed". Several controls of one witness share it. */
const states = new Map();

export function witness(name) {
  if (!states.has(name)) states.set(name, signal({ phase: "idle" }));
  return states.get(name);
}

export async function runWitness(name) {
  const state = witness(name);
  if (state.value.phase === "running") return state.value;
  state.value = { phase: "running" };
  const began = performance.now();
  try {
    const value = await (await source()).task("check", { name }).result;
    state.value = { phase: "done", value, seconds: (performance.now() - began) / 1000 };
  } catch (error) {
    state.value = { phase: "failed", text: error.message };
  }
  return state.value;
}

export function Check({ name, label = "Check" }) {
  const state = witness(name).value;
  return html`
    <div class="check-row">
      <button class="button quiet" type="button" disabled=${state.phase === "running"} onClick=${() => runWitness(name)}>${label}</button>
      <div class="check-answer" aria-live="polite">${answer(state)}</div>
    </div>
  `;
}

function answer(state) {
  if (state.phase === "idle") return html`<span class="note">Computes both sides now.</span>`;
  if (state.phase === "running") return html`<span class="note">Computing both sides …</span>`;
  if (state.phase === "failed") return html`<span class="error">${state.text}</span>`;
  const w = state.value;
  const verdict = verdictOf(w);
  const relation = w.counter ? "must exceed" : "tolerance";
  return html`
    <p class="check-verdict" data-passed=${w.passed}><strong class=${w.passed ? "good" : "bad"}>${verdict}</strong> ${typeset(w.statement)}</p>
    <dl class="check-numbers">
      <div><dt>${w.left[0]}</dt><dd>${short(w.left[1])}</dd></div>
      <div><dt>${w.right[0]}</dt><dd>${short(w.right[1])}</dd></div>
      <div><dt>error</dt><dd>${short(w.error)}</dd></div>
      <div><dt>${relation}</dt><dd>${short(w.tolerance)}</dd></div>
      <div><dt>seconds</dt><dd>${state.seconds.toFixed(1)}</dd></div>
    </dl>
  `;
}

/** A counter-witness passes where the claim fails. */
function verdictOf(w) {
  if (w.counter) return w.passed ? "the claim fails here, as it must" : "the claim does not fail here";
  return w.passed ? "passed" : "failed";
}
