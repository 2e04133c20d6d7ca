// The script of the demo: its stage, the experiments and predictions in their places, and the address.

import { html, render } from "htm/preact";
import { addressed, asked, calm, ignored, keepAddress, load, run, transport, view } from "lab/core/demo.js";
import { Predict } from "lab/core/predict.js";
import { Experiment } from "lab/parts/demo/experiment.js";
import { remember } from "lab/parts/demo/history.js";
import { showPreset, Stage } from "lab/parts/demo/stage.js";

export function attach(element, data) {
  remember();
  const stage = element.querySelector("[data-slot='stage']");
  render(html`<${Stage} />`, stage);
  for (const place of element.querySelectorAll("[data-experiment]")) {
    const experiment = data.experiments.find((one) => one.name === place.dataset.experiment);
    render(html`<${Experiment} experiment=${experiment} />`, place.querySelector("[data-slot]"));
  }
  const predictions = html`${data.predictions.map((one) => html`<${Predict} key=${one.key} prediction=${one} state=${asked} place="demo" />`)}`;
  render(predictions, element.querySelector("[data-slot='predictions']"));
  for (const button of element.querySelectorAll("[data-preset]"))
    button.addEventListener("click", () => showPreset(button.dataset.preset, { scroll: true, focus: true }));
  begin(stage, data);
  keepAddress();
}

// A state in the address or in the fragment is shown; else the default plays by itself once it is seen.
function begin(stage, data) {
  const state = addressed();
  ignored.value = state.ignored;
  if (state.view) view.value = state.view;
  addEventListener("hashchange", () => followFragment(data));
  if (run.peek()) return;
  if (state.given && state.steps) return load(state.config, { play: false, steps: state.steps });
  if (!state.given && followFragment(data)) return;
  load(state.config, { play: false }).then(() => calm() || whenSeen(stage.querySelector(".demo-picture"), transport.play));
}

function followFragment(data) {
  const key = location.hash.slice(1).replace("/", ":");
  if (!data.presets[key]) return false;
  showPreset(key);
  return true;
}

function whenSeen(element, act) {
  const observer = new IntersectionObserver(([entry]) => {
    if (!entry.isIntersecting) return;
    observer.disconnect();
    act();
  }, { threshold: 0.4 });
  observer.observe(element);
}
