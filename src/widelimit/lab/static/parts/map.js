// The edge to what comes next: earned by one committed and revealed prediction of the demo, or continued without one.

import { html, render } from "htm/preact";
import { signal } from "@preact/signals";
import { counts, onRecords, records } from "lab/core/predict.js";
import { read, remove, subscribe, write } from "lab/core/store.js";

const NAME = "map/next";
const state = signal({ name: "locked" });

export function attach(element, words) {
  const place = element.querySelector('[data-edge="next"]');
  place.replaceChildren();
  earn();
  onRecords(earn);
  subscribe(NAME, refresh);
  render(html`<${Edge} words=${words} />`, place);
}

function refresh() {
  state.value = read(NAME) ?? { name: "locked" };
}

// A reset takes back what was earned until then: only later predictions count.
function earn() {
  const kept = read(NAME);
  const made = records().filter((record) => counts(record) && record.place === "demo" && !(kept?.since > record.revealed));
  if (kept?.name !== "earned" && made.length) write(NAME, { name: "earned", by: made[0].key, at: made[0].revealed });
  refresh();
}

function Edge({ words }) {
  const { name } = state.value;
  const open = name === "earned" || name === "continued";
  return html`
    <p class="note map-standing" role="status" data-state=${name}>${words[open ? name : "locked"]}</p>
    ${open
      ? html`<button class="button quiet" type="button" onClick=${reset}>${words.reset}</button>`
      : html`<button class="button quiet" type="button" onClick=${goOn}>${words.goOn}</button>`}
  `;
}

const goOn = () => (write(NAME, { name: "continued", at: new Date().toISOString(), since: read(NAME)?.since }), refresh());

function reset() {
  remove(NAME);
  write(NAME, { name: "locked", since: new Date().toISOString() });
  refresh();
}
