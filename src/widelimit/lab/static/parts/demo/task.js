// A task with a button, its progress, and a way to stop it.

import { html } from "htm/preact";
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { source } from "lab/core/source.js";

/** `label` of the button; `ask()` gives { kind, payload }; `children(value)` draws the result. */
export function Task({ label, again = "Run again", ask, describedBy, children }) {
  const stage = useSignal({ name: "idle" });
  const value = useSignal(null);
  const task = useRef(null);
  useEffect(() => () => task.current?.cancel(), []);
  const start = async () => {
    const { kind, payload } = ask();
    stage.value = { name: "running" };
    try {
      task.current = (await source()).task(kind, payload);
      task.current.progress.subscribe((now) => now && stage.peek().name === "running" && (stage.value = { name: "running", now }));
      value.value = await task.current.result;
      stage.value = { name: "done" };
    } catch (error) {
      stage.value = stage.peek().name === "stopped" ? { name: "stopped" } : { name: "failed", text: error.message };
    }
    task.current = null;
  };
  const stop = () => {
    stage.value = { name: "stopped" };
    task.current?.cancel();
  };
  const { name, now, text } = stage.value;
  return html`<div class="demo-task" data-state=${name}>
    <div class="buttons">
      ${name === "running"
        ? html`<button class="button" type="button" onClick=${stop}>Stop</button>`
        : html`<button class="button" type="button" aria-describedby=${describedBy} onClick=${start}>${value.value ? again : label}</button>`}
      <span class="status" role="status" data-state=${name === "done" ? "passed" : name}>${said(name, now, text)}</span>
    </div>
    ${name === "running" && html`<progress max=${now?.total ?? 1} value=${now ? now.done : undefined} aria-label="Progress"></progress>`}
    ${value.value && children(value.value)}
  </div>`;
}

function said(name, now, text) {
  return { idle: "Not run yet.", running: now?.text || "Running.", done: "Done.", stopped: "Stopped.", failed: text }[name];
}
