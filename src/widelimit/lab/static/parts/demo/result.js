// What an experiment found: one sentence, its panels, its numbers beside what they should be, and its notes.

import { html } from "htm/preact";
import { exact, number } from "lab/core/format.js";
import { Panel } from "lab/core/panel.js";

export function Result({ exhibit }) {
  return html`<div class="demo-result">
    <p class="demo-sentence">${exhibit.sentence}</p>
    ${exhibit.panels.map((panel) => html`<${Panel} key=${panel.title} panel=${panel} />`)}
    ${exhibit.numbers.length > 0 && html`<${Numbers} numbers=${exhibit.numbers} />`}
    ${exhibit.notes.length > 0 && html`<ul class="note plain">${exhibit.notes.map((note) => html`<li>${note}</li>`)}</ul>`}
  </div>`;
}

function Numbers({ numbers }) {
  return html`<div class="table" tabindex="0" role="region" aria-label="Numbers of the experiment"><table>
    <thead><tr><th scope="col">quantity</th><th scope="col">measured</th><th scope="col">expected</th></tr></thead>
    <tbody>${numbers.map(
      (one) => html`<tr key=${one.key}>
        <th scope="row">${one.name}</th>
        <td data-number=${one.key} data-value=${one.value ?? ""}>${exact(one.value)}${one.error != null ? ` ± ${number(one.error, 2)}` : ""}</td>
        <td>${one.expected == null ? "–" : `${exact(one.expected)}${one.tolerance != null ? ` ± ${number(one.tolerance, 2)}` : ""}`}</td>
      </tr>`,
    )}</tbody>
  </table></div>`;
}
