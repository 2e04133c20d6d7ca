// “Attach this state” keeps what is shown as an object in this browser; “Code for this state” writes it as a program.

import { html } from "htm/preact";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { asked, load, query, run, transport, view } from "lab/core/demo.js";
import { whole } from "lab/core/format.js";
import { source } from "lab/core/source.js";
import { names, read, remove, status, subscribe, write } from "lab/core/store.js";

const FOLDER = "states/";

/** The demo-state object of what is shown now. */
export function stateObject() {
  const frame = run.peek()?.frame.peek();
  const config = run.peek()?.config.peek() ?? asked.peek();
  const step = frame?.step ?? 0;
  const key = `state:own-${Math.random().toString(36).slice(2, 8)}`;
  const title = `${config.parameterization} network of width ${config.width}, step ${whole(step)}`;
  return { key, kind: "demo-state", title, query: query(), config, seed: config.seed, step, view: view.peek(), numbers: frame?.numbers ?? {}, sentence: frame?.sentence ?? "" };
}

export const anchorOf = (state) => state.key.replace(":", "/");

export function Keep() {
  const said = useSignal("");
  const attachState = () => {
    if (!run.peek()?.frame.peek()) return;
    transport.pause();
    const state = stateObject();
    write(FOLDER + state.key, state);
    said.value = `Attached: ${state.title}. It is listed below, in this browser only. ${status.peek().state === "unsaved" ? status.peek().text : ""}`;
  };
  return html`<div class="demo-keep">
    <div class="buttons">
      <button class="button" type="button" onClick=${attachState}>Attach this state</button>
      <${Code} />
    </div>
    <p role="status" class="hint">${said.value}</p>
    <${Attached} />
  </div>`;
}

function Attached() {
  const states = useSignal([]);
  useEffect(() => {
    const refresh = () => (states.value = names(FOLDER).map(read).filter((one) => one?.key));
    refresh();
    return subscribe(FOLDER, refresh);
  }, []);
  if (!states.value.length) return null;
  return html`<h4>States you have attached</h4>
    <ul class="plain demo-attached">${states.value.map(
      (state) => html`<li key=${state.key} class="object" id=${anchorOf(state)} data-key=${state.key} tabindex="-1">
        <a href=${`${location.pathname}${state.query}#${anchorOf(state)}`} onClick=${(event) => open(event, state)}>${state.title}</a>
        <span class="hint">${state.sentence}</span>
        <button class="button quiet" type="button" aria-label=${`Forget ${state.title}`} onClick=${() => remove(FOLDER + state.key)}>Forget</button>
      </li>`,
    )}</ul>`;
}

// Within the page the state is shown without loading the page anew.
function open(event, state) {
  if (event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  load(state.config, { play: false, steps: state.step, show: state.view, scroll: true, focus: true });
}

function Code() {
  const code = useSignal(null);
  const said = useSignal("");
  const ask = async () => {
    said.value = "";
    try {
      const payload = { config: asked.peek(), step: run.peek()?.frame.peek()?.step ?? 0 };
      code.value = (await (await source()).task("snippet", payload).result).code;
    } catch (error) {
      said.value = error.message;
    }
  };
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(code.peek());
      said.value = "Copied.";
    } catch {
      said.value = "The browser does not allow copying; select the text instead.";
    }
  };
  return html`<button class="button" type="button" aria-expanded=${code.value !== null} onClick=${() => (code.value === null ? ask() : (code.value = null))}>Code for this state</button>
    ${code.value === null && said.value && html`<p class="error" role="alert">${said.value}</p>`}
    ${code.value !== null &&
    html`<div class="demo-code">
      <pre tabindex="0" aria-label="Program that reproduces this state"><code>${code.value}</code></pre>
      <div class="buttons"><button class="button" type="button" onClick=${copy}>Copy</button><span role="status">${said.value}</span></div>
    </div>`}`;
}
