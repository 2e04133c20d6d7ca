// The demo as a service that every part shares: the state that is asked for, the run that shows it, and its address.

import { batch, effect, signal } from "@preact/signals";
import { page } from "lab/core/page.js";
import { source } from "lab/core/source.js";
import { readState, writeState } from "lab/core/urlstate.js";

const data = page.parts.demo;
const SETTLE = 400;

export const defaults = data.default;
/** Configurations of the states worth seeing, by key. */
export const presets = Object.fromEntries(Object.values(data.presets).map(({ key, config }) => [key, config]));

/** The state that was asked for (what the server made of it is `run.value.config`). */
export const asked = signal({ ...defaults });
/** The run that is shown, or null before the first. */
export const run = signal(null);
export const view = signal("function");
/** Gradient steps per frame; 0 grows them with time. */
export const pace = signal(0);
/** Whether it trains on, as far as this page has asked for it. */
export const playing = signal(false);
/** Sentences about what was ignored in the address. */
export const ignored = signal([]);

/** True where motion is not wanted: then nothing plays by itself. */
export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

let latest = 0;

/**
 * Shows a state: part of a configuration, completed by the default. `steps` are made silently before the first picture
 * that counts; `scroll` and `focus` bring the demo into view.
 */
export async function load(config, { play = !calm(), scroll = false, focus = false, steps = 0, show } = {}) {
  const ticket = ++latest;
  batch(() => {
    asked.value = { ...defaults, ...config };
    if (show) view.value = show;
    playing.value = play && !steps;
  });
  if (scroll || focus) bring(focus);
  const opened = (await source()).open(asked.peek(), { play: play && !steps, pace: pace.peek() });
  if (ticket !== latest) return run.peek();
  run.value = opened;
  if (steps) once(opened.opening, () => opened.step(steps));
  follow(opened);
  return opened;
}

/** Changes one control, or several; the run starts anew. */
export function change(values) {
  return load({ ...asked.peek(), ...values }, { play: playing.peek() || (!calm() && !halted) });
}

// A reader who has paused, stepped or gone back wants to go on by hand.
let halted = false;

export const transport = {
  play() {
    halted = false;
    playing.value = true;
    run.peek()?.play();
  },
  pause() {
    halted = true;
    playing.value = false;
    run.peek()?.pause();
  },
  step(steps = 1) {
    halted = true;
    playing.value = false;
    run.peek()?.step(steps);
  },
  rewind() {
    halted = true;
    playing.value = false;
    run.peek()?.rewind();
  },
  pace(steps) {
    pace.value = steps;
    run.peek()?.pace(steps);
  },
};

// What the server had to change becomes the state; a run that has ended does not play.
function follow(opened) {
  once(opened.config, (used) => {
    if (run.peek() === opened && opened.changes.peek().length) asked.value = used;
  });
  const stop = effect(() => {
    if (run.value !== opened) queueMicrotask(() => stop());
    else if (["converged", "diverged", "failed"].includes(opened.phase.value.name)) playing.value = false;
  });
}

function once(of, act) {
  let stop = null;
  stop = of.subscribe((value) => {
    if (value === null) return;
    queueMicrotask(() => stop());
    queueMicrotask(() => act(value));
  });
}

function bring(focus) {
  const stage = document.getElementById("lab-demo");
  const place = stage?.querySelector("[data-slot='stage']") ?? stage;
  if (!place) return;
  place.scrollIntoView({ block: "start", behavior: calm() ? "auto" : "smooth" });
  if (!focus) return;
  place.tabIndex = -1;
  place.focus({ preventScroll: true });
}

/** The state in the address of the page. */
export function addressed() {
  const words = Object.fromEntries(data.controls.filter((one) => one.choices.length).map((one) => [one.key, one.choices.map((choice) => choice.value)]));
  return readState(location.search, defaults, { ...words, view: data.views.map((one) => one.key) });
}

/** The query of the state that is shown now. */
export const query = () => writeState({ config: asked.peek(), view: view.peek(), steps: paused() }, defaults);

const paused = () => (playing.peek() ? 0 : (run.peek()?.frame.peek()?.step ?? 0));

/** Keeps the address in step with the state. */
export function keepAddress() {
  let timer = 0;
  effect(() => {
    void [asked.value, view.value, playing.value, playing.value ? 0 : run.value?.frame.value?.step];
    clearTimeout(timer);
    timer = setTimeout(() => {
      const wanted = query();
      if (wanted !== location.search) history.replaceState(history.state, "", location.pathname + wanted + location.hash);
    }, SETTLE);
  });
}
