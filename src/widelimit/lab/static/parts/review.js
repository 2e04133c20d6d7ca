// Checks of the witnesses, one by one or all in turn.

import { html, render } from "htm/preact";
import { computed, signal } from "@preact/signals";
import { Check, runWitness, witness } from "lab/core/check.js";

export function attach(element, { witnesses }) {
  for (const place of element.querySelectorAll(".check[data-witness]")) {
    render(html`<${Check} name=${place.dataset.witness} />`, place);
  }
  render(html`<${All} names=${witnesses} />`, element.querySelector(".check-all"));
}

const running = signal(false);

function All({ names }) {
  const words = computed(() => tally(names.map((name) => witness(name).value)));
  return html`
    <button class="button" type="button" disabled=${running.value} onClick=${() => runAll(names)}>Check all ${names.length}</button>
    <span class="note" role="status">${words.value}</span>
  `;
}

async function runAll(names) {
  running.value = true;
  // One after the other: the server computes one thing at a time for each page.
  for (const name of names) await runWitness(name);
  running.value = false;
}

function tally(states) {
  const done = states.filter((state) => state.phase === "done");
  const failed = states.filter((state) => state.phase === "failed" || (state.phase === "done" && !state.value.passed));
  if (!done.length && !failed.length) return "";
  return `${done.length - failed.filter((state) => state.phase === "done").length} of ${states.length} passed${failed.length ? `, ${failed.length} failed` : ""}.`;
}
