// Play, pause, step, back to the start, another seed, and the speed; and in words what the run is doing.

import { html } from "htm/preact";
import { computed, effect, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { asked, change, pace, playing, run, transport } from "lab/core/demo.js";
import { whole } from "lab/core/format.js";
import { source } from "lab/core/source.js";

const PACES = [
  [0, "grows with time"],
  [1, "1 step a frame"],
  [5, "up to 5 a frame"],
  [25, "up to 25 a frame"],
  [200, "up to 200 a frame"],
];
const TEXTS = {
  connecting: "Connecting to the server.",
  disconnected: "Disconnected. The server does not answer; this page tries again. What is drawn is the last frame.",
};
const QUIET = 600;

const link = signal("connecting");
const said = signal("");
source().then(({ status, words }) => effect(() => ((link.value = status.value), (said.value = words?.value ?? ""))));

/** { name, text } of what is going on. */
export const doing = computed(() => {
  if (link.value !== "ready") return { name: link.value, text: said.value || TEXTS[link.value] };
  const phase = run.value?.phase.value ?? { name: "connecting", text: TEXTS.connecting };
  return phase;
});

// Screen readers hear where a run has come to, not every station on the way.
const announced = signal("");
function announce() {
  let timer = 0;
  return effect(() => {
    const { text } = doing.value;
    clearTimeout(timer);
    timer = setTimeout(() => (announced.value = text), QUIET);
  });
}

export function Status() {
  useEffect(announce, []);
  const { name, text } = doing.value;
  const step = run.value?.frame.value?.step;
  return html`<div class="demo-status">
    <span class="status" data-state=${name}><span>${(text || name).replace(/\d{5,}/g, (digits) => whole(Number(digits)))}</span></span>
    ${step !== undefined && html`<span class="demo-step" data-step=${step}>step ${whole(step)}</span>`}
    <span class="visually-hidden" role="status" aria-live="polite">${announced.value}</span>
  </div>`;
}

export function Transport() {
  const ended = ["converged", "diverged", "failed"].includes(doing.value.name);
  const off = link.value !== "ready";
  const toggle = () => (playing.value ? transport.pause() : ended ? again() : transport.play());
  return html`<div class="buttons demo-transport" role="group" aria-label="Run">
    <button class="button primary" type="button" disabled=${off} onClick=${toggle}>${playing.value ? "Pause" : ended ? "Play again" : "Play"}</button>
    <button class="button" type="button" disabled=${off || ended} onClick=${() => transport.step(1)}>Step</button>
    <button class="button" type="button" disabled=${off} onClick=${transport.rewind}>Reset</button>
    <button class="button" type="button" disabled=${off} onClick=${() => change({ seed: (asked.peek().seed + 1) % 2 ** 31 })}>New seed</button>
    <label class="demo-pace"><span>Speed</span>
      <select value=${pace.value} onChange=${(event) => transport.pace(Number(event.currentTarget.value))}>
        ${PACES.map(([value, text]) => html`<option value=${value}>${text}</option>`)}
      </select>
    </label>
  </div>`;
}

function again() {
  transport.rewind();
  transport.play();
}
