// Exercises: an answer kept in this browser, hints one after the other, a self-check, a predicted experiment.

import { html, render } from "htm/preact";
import { useSignal } from "@preact/signals";
import { load } from "lab/core/demo.js";
import { useKept } from "lab/core/kept.js";
import { Predict } from "lab/core/predict.js";
import { status } from "lab/core/store.js";
import { useSeal } from "lab/core/unseal.js";

const HINTS = 3;

export function attach(element, data) {
  for (const exercise of data.exercises) {
    const place = element.querySelector(`[data-key="${exercise.key}"] .exercise-work`);
    render(html`<${Work} exercise=${exercise} words=${data} />`, place);
  }
}

function Work({ exercise, words }) {
  return html`
    <${Answer} name=${`practice/${exercise.key}/answer`} label=${words.answer} />
    <${Hints} exercise=${exercise} label=${words.hint} />
    <${SelfCheck} exercise=${exercise} words=${words} />
    <${Experiment} exercise=${exercise} words=${words} />
  `;
}

function Answer({ name, label }) {
  const [kept, keep] = useKept(name, { text: "" });
  const text = String(kept.text ?? "");
  return html`
    <label class="exercise-answer">${label}<textarea rows="3" value=${text} onInput=${(event) => keep({ text: event.target.value })}></textarea></label>
    <p class="exercise-status" role="status" data-state=${status.value.state}>${text ? status.value.text : ""}</p>
  `;
}

function Hints({ exercise, label }) {
  const hints = useSignal([]);
  const { open, trouble } = useSeal();
  const next = async () => {
    const number = hints.value.length + 1;
    const hint = await open(`practice/${exercise.key}/hint-${number}`);
    // A second press while the first is on its way brings no hint twice.
    if (hint && hints.value.length === number - 1) hints.value = [...hints.value, hint];
  };
  const left = HINTS - hints.value.length;
  return html`
    <ol class="hints" aria-live="polite">${hints.value.map((hint) => html`<li>${hint}</li>`)}</ol>
    ${left ? html`<button class="button quiet" type="button" onClick=${next}>${label} (${left} left)</button>` : null}
    ${trouble && html`<p class="error" role="alert">${trouble}</p>`}
  `;
}

function SelfCheck({ exercise, words }) {
  const [kept, keep] = useKept(`practice/${exercise.key}/check`, { checked: [] });
  const checked = words.checks.map((_, i) => kept.checked?.[i] === true);
  const toggle = (i) => keep({ checked: checked.map((value, j) => (i === j ? !value : value)) });
  return html`
    <fieldset class="self-check"><legend>${words.checkLead}</legend>
      ${words.checks.map(
        (text, i) => html`<label><input type="checkbox" checked=${checked[i]} onChange=${() => toggle(i)} /> <span>${text}${i === 2 ? ` ${exercise.neighbour}.` : ""}</span></label>`,
      )}
    </fieldset>
  `;
}

// The prediction is made when it is opened: a curve to draw asks the server for its training points.
function Experiment({ exercise, words }) {
  const opened = useSignal(false);
  return html`
    <details class="details exercise-experiment" onToggle=${(event) => event.currentTarget.open && (opened.value = true)}>
      <summary>${words.experiment}</summary>
      ${opened.value &&
      html`<${Predict} prediction=${exercise.prediction} place="practice" onRecord=${(record) => load(record.config, { play: true })} />
        <p class="exercise-status">The run is then shown in the <a href="#demo">demo</a>.</p>`}
    </details>
  `;
}
