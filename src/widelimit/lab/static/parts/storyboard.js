// Recorded runs to scrub through; the words come after the reader has said what kind of change was seen.

import { html, render } from "htm/preact";
import { computed, signal, useSignal } from "@preact/signals";
import { typeset } from "lab/core/format.js";
import { linkTo } from "lab/core/links.js";
import { page, sealed } from "lab/core/page.js";
import { Panel } from "lab/core/panel.js";
import { Predict } from "lab/core/predict.js";
import { append, names, read } from "lab/core/store.js";
import { useSeal } from "lab/core/unseal.js";

const SECONDS = 0.7;

export function attach(element, data) {
  // What readers without scripts are told comes here after a commitment.
  element.querySelector("noscript")?.remove();
  const board = create(data);
  render(html`<${Board} board=${board} />`, element.querySelector(".storyboard-stage"));
}

function create(data) {
  const at = signal(0);
  const step = signal(0);
  const playing = signal(false);
  const words = signal({});
  const frame = computed(() => data.frames[at.value]);
  let timer = 0;

  function stop() {
    clearInterval(timer);
    playing.value = false;
  }
  // Where motion is not wanted, the button makes one step at a time.
  function play() {
    const last = frame.value.steps.length - 1;
    if (calm()) return (step.value = step.value >= last ? 0 : step.value + 1);
    if (step.value >= last) step.value = 0;
    playing.value = true;
    timer = setInterval(() => {
      step.value += 1;
      if (step.value >= frame.value.steps.length - 1) stop();
    }, SECONDS * 1000);
  }
  function go(index) {
    stop();
    at.value = Math.min(Math.max(index, 0), data.frames.length - 1);
    step.value = 0;
    remembered(frame.value.key);
  }
  async function remembered(key) {
    const kept = names(`storyboard/${key}/`)[0];
    if (!kept || words.peek()[key]) return;
    const found = await sealed(`storyboard/${key}`).catch(() => null);
    if (found) words.value = { ...words.value, [key]: { ...found, said: read(kept)?.said } };
  }
  async function commit(said, open) {
    const { key } = frame.value;
    const found = await open(`storyboard/${key}`);
    if (!found) return;
    append(`storyboard/${key}/`, { said, change: found.change });
    words.value = { ...words.value, [key]: { ...found, said } };
  }
  remembered(frame.value.key);
  return { data, at, step, playing, words, frame, play, stop, go, commit };
}

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
const forward = () => (calm() ? "Next step" : "Play");

// Left and right move through the steps wherever the focus is in the figure; page up and down change the frame.
function press(event, board) {
  const last = board.frame.value.steps.length - 1;
  const to = { ArrowRight: board.step.value + 1, ArrowLeft: board.step.value - 1, Home: 0, End: last }[event.key];
  const frames = { PageDown: 1, PageUp: -1 }[event.key];
  if (frames) board.go(board.at.value + frames);
  else if (to === undefined || event.target.closest(".table")) return;
  else {
    board.stop();
    board.step.value = Math.min(Math.max(to, 0), last);
  }
  event.preventDefault();
}

function Board({ board }) {
  const { data, at, step, frame, playing, words } = board;
  const { key, title, steps, version, hash, story, about } = frame.value;
  const told = words.value[key];
  return html`
    <ol class="story-tabs" aria-label="Frames">
      ${data.frames.map(
        (one, i) => html`<li><button type="button" class="button quiet" aria-current=${i === at.value ? "step" : null} onClick=${() => board.go(i)}>${i + 1}. ${one.title}</button></li>`,
      )}
    </ol>
    <figure class="figure story" aria-label=${title} onKeyDown=${(event) => press(event, board)}>
      <p class="story-about">${about}</p>
      <div class="story-panels">${steps[step.value].map((panel) => html`<${Panel} key=${`${key}-${panel.kind}-${panel.title.split(" at ")[0]}`} panel=${panel} />`)}</div>
      <div class="story-scrub">
        <button type="button" class="button" onClick=${playing.value ? board.stop : board.play}>${playing.value ? "Pause" : forward()}</button>
        <label><span class="visually-hidden">Step of the frame</span>
          <input type="range" min="0" max=${steps.length - 1} step="1" value=${step.value} aria-valuetext=${`${step.value + 1} of ${steps.length}`}
            onInput=${(event) => (board.stop(), (step.value = Number(event.target.value)))} />
        </label>
        <span class="note">${step.value + 1} of ${steps.length}</span>
      </div>
      <figcaption class="provenance">Recorded by the library: story <code>${story}</code>, widelimit ${version}, hash <code>${hash}</code>. Arrow keys move through the steps.</figcaption>
    </figure>
    ${told ? html`<${Told} told=${told} frame=${frame.value} changes=${data.changes} step=${step.value} />` : html`<${Commit} key=${key} board=${board} />`}
    <p class="story-next">
      <button type="button" class="button" disabled=${at.value === 0} onClick=${() => board.go(at.value - 1)}>Previous frame</button>
      <button type="button" class="button" disabled=${at.value === data.frames.length - 1} onClick=${() => board.go(at.value + 1)}>Next frame</button>
    </p>
  `;
}

function Commit({ board }) {
  const chosen = useSignal(null);
  const missing = useSignal("");
  const { open, trouble } = useSeal();
  const commit = (event) => {
    event.preventDefault();
    missing.value = chosen.value ? "" : "Choose one of the four first.";
    if (chosen.value) board.commit(chosen.value, open);
  };
  return html`
    <form class="predict story-commit" onSubmit=${commit}>
      <fieldset>
        <legend>${board.data.question}</legend>
        ${Object.entries(board.data.changes).map(
          ([value, words]) => html`<label class="choice"><input type="radio" name="story-change" value=${value} onChange=${() => (chosen.value = value)} /> ${words}</label>`,
        )}
      </fieldset>
      <button class="button primary" type="submit">Commit, then read</button>
      <p class="predict-words error" role="status">${missing.value || trouble}</p>
    </form>
  `;
}

function Told({ told, frame, changes, step }) {
  const same = told.said === told.change;
  return html`
    <div class="story-told" aria-live="polite">
      <p><strong>You said ${changes[told.said]}; this frame was chosen for ${changes[told.change]}${same ? ", too" : ""}.</strong> ${told.text}</p>
      <p class="note">${typeset(told.captions[step])} <a class="object-link" href=${linkTo(told.equation)}>${page.objects[told.equation].title}</a></p>
    </div>
    ${frame.prediction && html`<div class="story-told"><${Predict} key=${frame.prediction.key} prediction=${frame.prediction} place="storyboard" /></div>`}
  `;
}
