// One classic experiment: what can be varied, a button, and what came out.

import { html } from "htm/preact";
import { useSignal } from "@preact/signals";
import { Result } from "lab/parts/demo/result.js";
import { Task } from "lab/parts/demo/task.js";

export function Experiment({ experiment }) {
  const chosen = useSignal(Object.fromEntries(experiment.fields.map((field) => [field.key, field.value])));
  const config = () => Object.fromEntries(Object.entries(chosen.peek()).map(([key, text]) => [key, valueOf(text)]));
  return html`${experiment.fields.length > 0 &&
    html`<div class="controls">${experiment.fields.map(
      (field) => html`<div class="control" key=${field.key}>
        <label for=${`${experiment.name}-${field.key}`}>${field.label}</label>
        <select id=${`${experiment.name}-${field.key}`} value=${chosen.value[field.key]}
          onChange=${(event) => (chosen.value = { ...chosen.peek(), [field.key]: event.currentTarget.value })}>
          ${field.choices.map((one) => html`<option value=${one.value} selected=${one.value === chosen.value[field.key]}>${one.label}</option>`)}
        </select>
      </div>`,
    )}</div>`}
    <${Task} label="Run the experiment" ask=${() => ({ kind: "exhibit", payload: { name: experiment.name, config: config() } })}>
      ${(exhibit) => html`<${Result} exhibit=${exhibit} />`}
    <//>`;
}

const valueOf = (text) => (text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text);
