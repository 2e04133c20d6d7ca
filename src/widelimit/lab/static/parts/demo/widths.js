// The width sweep of the state that is shown.

import { html } from "htm/preact";
import { page } from "lab/core/page.js";
import { asked } from "lab/core/demo.js";
import { Result } from "lab/parts/demo/result.js";
import { Task } from "lab/parts/demo/task.js";

const { sweep } = page.parts.demo;

// What of the state the sweep takes over; the rest has no meaning for it.
const config = () => Object.fromEntries(sweep.fields.map((key) => [key, asked.peek()[key]]));

export function Widths() {
  return html`<div class="demo-widths">
    <p>${sweep.line}</p>
    <${Task} label="Measure the sweep" again="Measure again" ask=${() => ({ kind: "exhibit", payload: { name: sweep.name, config: config() } })}>
      ${(exhibit) => html`<${Result} exhibit=${exhibit} />`}
    <//>
  </div>`;
}
