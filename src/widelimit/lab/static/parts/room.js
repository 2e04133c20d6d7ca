// The desk: pick an object, an open question, one note, one next action, and a text to hand to a tutor.

import { html, render } from "htm/preact";
import { computed, signal, useSignal } from "@preact/signals";
import { subject } from "lab/core/ask.js";
import { linkTo } from "lab/core/links.js";
import { page } from "lab/core/page.js";
import { names, read, remove, status, subscribe, write } from "lab/core/store.js";
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
  const misconception = data.misconceptions[key];
  const text = (field) => String(kept[field] ?? guide[field]?.replace("{title}", object.title) ?? "");
  const keep = (field) => (event) => write(FOLDER + key, { ...read(FOLDER + key), [field]: event.target.value });
  const forget = () => confirm(`Delete what you wrote about “${object.title}”?`) && remove(FOLDER + key);
  const inspect = [misconception?.state, ...guide.inspect].filter((one) => one && one !== key && one in page.objects);
  const field = (name, label, rows) => html`<${Field} key=${name + key} label=${label} rows=${rows} value=${text(name)} onInput=${keep(name)} />`;
  return html`
    <div class="desk">
      <label class="desk-pick">Object
        <select value=${key} onChange=${(event) => (subject.value = event.target.value)}>
          ${kinds(objects.value).map(
            ([kind, list]) => html`<optgroup label=${data.guides[kind].name}>
              ${list.map(([k, one]) => html`<option value=${k} selected=${k === key}>${one.title}${read(FOLDER + k) ? " •" : ""}</option>`)}
            </optgroup>`,
          )}
        </select>
      </label>
      <p class="desk-which">${guide.name}, <code>${key}</code>. <a class="object-link" href=${`#${object.anchor}`}>Go to it</a></p>
      ${field("question", "Open question")}
      ${field("evidence", "Evidence to inspect")}
      <p class="desk-links">${inspect.map((one) => html`<a class="object-link" data-key=${one} href=${linkTo(one)}>${page.objects[one].title}</a>`)}</p>
      ${field("resolve", "What would resolve it")}
      ${field("note", "Note", 4)}
      ${field("action", "Next action")}
      <div class="desk-actions">
        <p class="status" role="status" data-state=${status.value.state}>${status.value.text}</p>
        <button class="button quiet" type="button" disabled=${!Object.keys(kept).length} onClick=${forget}>Delete this note</button>
      </div>
      <${Handoff} text=${handoff({ key, object, guide, inspect, text, tutor: data.tutor, misconception })} />
      <${Keeping} />
    </div>
  `;
}

function Field({ label, value, onInput, rows = 2 }) {
  return html`<label class="desk-field">${label}<textarea rows=${rows} value=${value} onInput=${onInput}></textarea></label>`;
}

function Handoff({ text }) {
  const said = useSignal("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      said.value = "Copied.";
    } catch {
      said.value = "The browser does not allow copying; select the text instead.";
    }
  };
  return html`
    <details class="details handoff"><summary>Text to hand to a tutor</summary>
      <pre tabindex="0" role="region" aria-label="Text to hand to a tutor">${text}</pre>
      <div class="buttons"><button class="button" type="button" onClick=${copy}>Copy</button><span role="status">${said.value}</span></div>
    </details>
  `;
}

function kinds(objects) {
  const groups = new Map();
  for (const [key, object] of Object.entries(objects)) groups.set(object.kind, [...(groups.get(object.kind) ?? []), [key, object]]);
  return [...groups];
}
