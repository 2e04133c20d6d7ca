// The source of an exported page: recorded runs are replayed, recorded results returned; see source.js for its shape.

import { batch, signal } from "@preact/signals";
import { readFrame } from "lab/core/frame.js";
import { page } from "lab/core/page.js";

const MILLISECONDS = 60;
const NONE = "This page is a recording: it has the runs of its presets, its predictions and its experiments as they stand. Start the lab to change anything.";

export function create() {
  let run = null;
  const open = (config, { play = true } = {}) => {
    run?.close();
    run = replay(config, play);
    return run;
  };
  return { status: signal("ready"), words: signal(""), cells: signal(false), library: signal(page.recorded.library), open, task };
}

function task(kind, payload) {
  const { exhibits, checks } = page.recorded;
  const find = { exhibit: () => exhibits[payload.name], check: () => checks[payload.name], measure: () => measured(payload) };
  const value = find[kind]?.();
  const result = value ? Promise.resolve(value) : Promise.reject(new Error(NONE));
  return { progress: signal(null), result, cancel() {} };
}

// Fields that a state leaves out have their defaults.
const complete = (config) => ({ ...page.parts.demo.default, ...config });
const same = (a, b) => {
  const [x, y] = [complete(a), complete(b)];
  return Object.keys(x).every((key) => JSON.stringify(x[key]) === JSON.stringify(y[key]));
};
const measured = ({ config, steps }) => page.recorded.measured.find((one) => one.steps === steps && same(one.asked, config))?.value;

function bytes(text) {
  const raw = atob(text);
  return Uint8Array.from(raw, (c) => c.charCodeAt(0)).buffer;
}

function replay(asked, play) {
  const found = page.recorded.runs.find((run) => same(run.config, asked));
  const phase = signal({ name: "connecting", text: "Connecting." });
  const run = { config: signal(null), changes: signal([]), phase, opening: signal(null), frame: signal(null) };
  let frames = [];
  let at = 0;
  let timer = 0;

  const stop = () => clearInterval(timer);
  const paused = () => (phase.value = { name: "paused", text: `Paused at step ${frames[at].step}. This is a recording.` });
  function show(index) {
    at = Math.min(Math.max(index, 0), frames.length - 1);
    batch(() => {
      if (at === 0) run.opening.value = frames[0];
      run.frame.value = frames[at];
    });
  }
  function next() {
    show(at + 1);
    if (at < frames.length - 1) return;
    stop();
    const words = { converged: "Converged", diverged: "Diverged", training: "The recording ends" }[found.end];
    phase.value = { name: found.end === "training" ? "paused" : found.end, text: `${words} at step ${frames[at].step}. This is a recording.` };
  }
  function start() {
    stop();
    if (at >= frames.length - 1) show(0);
    phase.value = { name: "training", text: "Training, as recorded." };
    timer = setInterval(next, MILLISECONDS);
  }
  const able = (act) => (...values) => (found ? act(...values) : undefined);
  Object.assign(run, {
    play: able(start),
    pause: able(() => (stop(), paused())),
    step: able((steps = 1) => (stop(), show(later(frames, at, steps)), paused())),
    rewind: able(() => (stop(), show(0), paused())),
    pace() {},
    close: stop,
  });
  if (!found) {
    phase.value = { name: "failed", text: NONE };
    return run;
  }
  frames = found.frames.map((text) => readFrame(bytes(text)));
  batch(() => {
    run.config.value = found.config;
    run.changes.value = found.changes;
  });
  show(0);
  play ? start() : paused();
  return run;
}

// The first recorded frame at least so many steps after this one.
function later(frames, at, steps) {
  const wanted = frames[at].step + steps;
  const found = frames.findIndex((frame) => frame.step >= wanted);
  return found < 0 ? frames.length - 1 : found;
}
