// Exercises: an answer kept in this browser, hints one after the other, a self-check, a predicted experiment.

import { html, render } from "htm/preact";
import { useSignal } from "@preact/signals";
import { load } from "lab/core/demo.js";
import { sealed } from "lab/core/page.js";
import { Predict } from "lab/core/predict.js";
import { read, status, write } from "lab/core/store.js";

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
    <details class="details exercise-experiment"><summary>${words.experiment}</summary>
      <${Predict} prediction=${exercise.prediction} place="practice" onRecord=${(record) => load(record.config, { play: true })} />
      <p class="note">The run is then shown in the <a href="#demo">demo</a>.</p>
    </details>
  `;
}

function Answer({ name, label }) {
  const text = useSignal(read(name)?.text ?? "");
  const keep = (event) => {
    text.value = event.target.value;
    write(name, { text: text.value });
  };
  return html`
    <label class="exercise-answer">${label}<textarea rows="3" value=${text.value} onInput=${keep}></textarea></label>
    <p class="note" role="status">${text.value ? status.value.text : ""}</p>
  `;
}

function Hints({ exercise, label }) {
  const hints = useSignal([]);
  const next = async () => {
    const number = hints.value.length + 1;
    hints.value = [...hints.value, await sealed(`practice/${exercise.key}/hint-${number}`)];
  };
  const left = HINTS - hints.value.length;
  return html`
    <ol class="hints" aria-live="polite">${hints.value.map((hint) => html`<li>${hint}</li>`)}</ol>
    ${left ? html`<button class="button quiet" type="button" onClick=${next}>${label} (${left} left)</button>` : null}
  `;
}

function SelfCheck({ exercise, words }) {
  const name = `practice/${exercise.key}/check`;
  const checked = useSignal(read(name)?.checked ?? [false, false, false]);
  const toggle = (i) => {
    checked.value = checked.value.map((value, j) => (i === j ? !value : value));
    write(name, { checked: checked.value });
  };
  return html`
    <fieldset class="self-check"><legend>${words.checkLead}</legend>
      ${words.checks.map(
        (text, i) => html`<label><input type="checkbox" checked=${checked.value[i]} onChange=${() => toggle(i)} /> ${text}${i === 2 ? ` ${exercise.neighbour}.` : ""}</label>`,
      )}
    </fieldset>
  `;
}
