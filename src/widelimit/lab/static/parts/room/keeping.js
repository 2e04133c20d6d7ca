// What is kept in this browser: its status, export, import, and deletion.

import { html } from "htm/preact";
import { useSignal } from "@preact/signals";
import { exported, merge, removeAll, troubles } from "lab/core/store.js";

export function Keeping() {
  const said = useSignal("");
  const save = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([exported()], { type: "application/json" }));
    link.download = "widelimit-lab-notes.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    said.value = "Exported.";
  };
  const bring = async (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (!file) return;
    try {
      said.value = merge(await file.text());
    } catch (error) {
      said.value = error.message;
    }
  };
  const clear = () => {
    if (!confirm("Delete everything that this page keeps in this browser: notes, predictions, answers and states?")) return;
    removeAll();
    said.value = "Everything was deleted.";
  };
  return html`
    <div class="keeping">
      <p class="keeping-words">Everything that this page keeps in this browser: notes, predictions, answers, states.</p>
      <p class="keeping-words" role="status">${said.value}</p>
      ${troubles.value.map((text) => html`<p class="error" role="alert">${text}</p>`)}
      <div class="buttons">
        <button class="button quiet" type="button" onClick=${save}>Export</button>
        <label class="button quiet">Import<input class="visually-hidden" type="file" accept="application/json,.json" onChange=${bring} /></label>
        <button class="button quiet" type="button" onClick=${clear}>Delete everything</button>
      </div>
    </div>
  `;
}
