// The cell: run, stop, edit, reset; and the checks of the two listings.

import { html, render } from "htm/preact";
import { computed, signal } from "@preact/signals";
import { Check } from "lab/core/check.js";
import { source } from "lab/core/source.js";

export async function attach(element, data) {
  for (const place of element.querySelectorAll(".check[data-witness]")) {
    render(html`<${Check} name=${place.dataset.witness} />`, place);
  }
  // A program ends with a line break; the line after it is none.
  const cell = cellState(data.code.replace(/\n$/, ""), await source());
  const place = element.querySelector(".cell");
  place.replaceChildren();
  render(html`<${Cell} cell=${cell} />`, place);
}

function cellState(original, from) {
  const code = signal(original);
  const answer = signal(null);
  const task = signal(null);
  const edited = computed(() => code.value !== original);

  async function run() {
    if (task.value) return;
    const started = from.task("cell", { code: code.value });
    task.value = started;
    answer.value = null;
    try {
      answer.value = await started.result;
    } catch (error) {
      answer.value = { output: "", error: error.message, line: null };
    }
    task.value = null;
  }

  const reset = () => {
    code.value = original;
    answer.value = null;
  };
  return { code, answer, task, edited, run, stop: () => task.value?.cancel(), reset, from };
}

function Cell({ cell }) {
  const lines = cell.code.value.split("\n").length;
  const running = cell.task.value !== null;
  const allowed = cell.from.cells.value;
  const wrong = cell.answer.value?.line;
  return html`
    <div class="cell-editor">
      <div class="cell-lines" aria-hidden="true">
        ${Array.from({ length: lines }, (_, i) => html`<span data-wrong=${i + 1 === wrong}>${i + 1}</span>`)}
      </div>
      <textarea
        class="cell-code"
        aria-label="Code of the cell"
        spellcheck="false"
        autocomplete="off"
        autocapitalize="off"
        wrap="off"
        rows=${lines}
        value=${cell.code.value}
        onInput=${(event) => (cell.code.value = event.target.value)}
      ></textarea>
    </div>
    <div class="cell-actions">
      <button class="button primary" type="button" disabled=${running || !allowed} onClick=${cell.run}>Run</button>
      <button class="button" type="button" disabled=${!running} onClick=${cell.stop}>Stop</button>
      <button class="button quiet" type="button" disabled=${!cell.edited.value} onClick=${cell.reset}>Reset</button>
      <span class="tag cell-standing" role="status">${cell.edited.value ? "edited: no longer a witness" : "as reviewed: a witness"}</span>
    </div>
    ${allowed ? null : html`<p class="note">${refusal(cell.from)}</p>`}
    <div class="cell-answer" aria-live="polite">${running ? html`<p class="note">Running …</p>` : outcome(cell.answer.value)}</div>
  `;
}

function refusal(from) {
  if (from.status.value !== "ready") return "Cells run on the server, which is not connected now.";
  return "Code cells are switched off here: the server listens beyond this machine, or was started without them, or this page is a recording.";
}

function outcome(answer) {
  if (!answer) return null;
  return html`
    ${answer.output ? html`<pre class="cell-output" tabindex="0" aria-label="Output">${answer.output}</pre>` : null}
    ${answer.error ? html`<p class="error" role="alert">${answer.line ? `Line ${answer.line}: ` : ""}${answer.error}</p>` : null}
    ${answer.limits ? html`<p class="note">${answer.seconds.toFixed(1)} s. ${answer.limits}</p>` : null}
  `;
}
