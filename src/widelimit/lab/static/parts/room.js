// The desk: pick an object, an open question, one note, one next action, and a text to hand to a tutor.

import { html, render } from "htm/preact";
import { computed, signal } from "@preact/signals";
import { subject } from "lab/core/ask.js";
import { page } from "lab/core/page.js";
import { names, read, remove, subscribe, write } from "lab/core/store.js";
import { Keeping } from "lab/parts/room/keeping.js";
import { handoff } from "lab/parts/room/handoff.js";

const FOLDER = "room/";
const STATES = "states/";

export function attach(element, data) {
  const changed = signal(0);
  const tick = () => (changed.value += 1);
  subscribe(FOLDER, tick);
  subscribe(STATES, tick);
  const objects = computed(() => (changed.value, { ...page.objects, ...attached() }));
  subject.value ??= Object.keys(page.objects)[0];
  render(html`<${Desk} data=${data} objects=${objects} changed=${changed} />`, element.querySelector(".room-desk"));
}

// States that the reader has attached are objects, too.
function attached() {
  const kept = names(STATES).map(read).filter((one) => one?.key);
  return Object.fromEntries(kept.map((one) => [one.key, { ...one, anchor: one.key.replace(":", "/"), part: "demo" }]));
}

function Desk({ data, objects, changed }) {
  const key = subject.value in objects.value ? subject.value : Object.keys(objects.value)[0];
  const object = objects.value[key];
  const guide = data.guides[object.kind];
  const kept = (changed.value, read(FOLDER + key)) ?? {};
  const question = kept.question ?? guide.question.replace("{title}", object.title);
  const keep = (field) => (event) => write(FOLDER + key, { ...read(FOLDER + key), [field]: event.target.value });
  const forget = () => confirm(`Delete what you wrote about “${object.title}”?`) && remove(FOLDER + key);
  return html`
    <div class="desk">
      <label class="desk-pick">Object
        <select value=${key} onChange=${(event) => (subject.value = event.target.value)}>
          ${kinds(objects.value).map(
            ([kind, list]) => html`<optgroup label=${data.guides[kind].name}>
              ${list.map(([k, one]) => html`<option value=${k}>${one.title}${read(FOLDER + k) ? " •" : ""}</option>`)}
            </optgroup>`,
          )}
        </select>
      </label>
      <p class="note">${guide.name}, <code>${key}</code>. <a class="object-link" href=${`#${object.anchor}`}>Go to it</a></p>
      <${Field} key=${`q${key}`} label="Open question" value=${question} onInput=${keep("question")} />
      <dl class="desk-guide">
        <div><dt>Evidence to inspect</dt><dd>${guide.evidence}</dd></div>
        <div><dt>What would resolve it</dt><dd>${guide.resolve}</dd></div>
      </dl>
      <${Field} key=${`n${key}`} label="Note" rows="4" value=${kept.note ?? ""} onInput=${keep("note")} />
      <${Field} key=${`a${key}`} label="Next action" value=${kept.action ?? ""} onInput=${keep("action")} />
      <p class="desk-actions">
        <button class="button quiet" type="button" disabled=${!Object.keys(kept).length} onClick=${forget}>Delete this note</button>
      </p>
      <${Handoff} text=${handoff({ key, object, guide, question, kept, tutor: data.tutor, misconception: data.misconceptions[key] })} />
      <${Keeping} />
    </div>
  `;
}

function Field({ label, value, onInput, rows = 2 }) {
  return html`<label class="desk-field">${label}<textarea rows=${rows} value=${value} onInput=${onInput}></textarea></label>`;
}

function Handoff({ text }) {
  const copy = async (event) => {
    const button = event.target;
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  };
  return html`
    <details class="details handoff"><summary>Text to hand to a tutor</summary>
      <pre tabindex="0" aria-label="Text to hand to a tutor">${text}</pre>
      <button class="button" type="button" onClick=${copy}>Copy</button>
    </details>
  `;
}

function kinds(objects) {
  const groups = new Map();
  for (const [key, object] of Object.entries(objects)) groups.set(object.kind, [...(groups.get(object.kind) ?? []), [key, object]]);
  return [...groups];
}
