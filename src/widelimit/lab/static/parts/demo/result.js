// What an experiment found: one sentence, its panels, its numbers beside what they should be, and its notes.

import { html } from "htm/preact";
import { typeset, within } from "lab/core/format.js";
import { Panel } from "lab/core/panel.js";

export function Result({ exhibit }) {
  return html`<div class="demo-result">
    <p class="demo-sentence">${typeset(exhibit.sentence)}</p>
    ${exhibit.panels.map((panel) => html`<${Panel} key=${panel.title} panel=${panel} />`)}
    ${exhibit.numbers.length > 0 && html`<${Numbers} numbers=${exhibit.numbers} />`}
    ${exhibit.notes.length > 0 && html`<div class="note">${exhibit.notes.map((note) => html`<p>${typeset(note)}</p>`)}</div>`}
  </div>`;
}

// Where nothing is expected of any number, there is no column for it.
function Numbers({ numbers }) {
  const known = numbers.some((one) => one.expected != null);
  return html`<div class="table" tabindex="0" role="region" aria-label="Numbers of the experiment"><table>
    <thead><tr><th scope="col">Quantity</th><th scope="col">Measured</th>${known && html`<th scope="col">Expected</th>`}</tr></thead>
    <tbody>${numbers.map(
      (one) => html`<tr key=${one.key}>
        <th scope="row">${typeset(one.name)}</th>
        <td data-number=${one.key} data-value=${one.value ?? ""}>${within(one.value, one.error)}</td>
        ${known && html`<td>${one.expected == null ? "" : within(one.expected, one.tolerance)}</td>`}
      </tr>`,
    )}</tbody>
  </table></div>`;
}
