// What has been seen of the run so far: residuals of the modes and outputs at two points, for the views over time.

import { effect } from "@preact/signals";
import { run } from "lab/core/demo.js";

const MOST = 360;
const NAMES = ["finite", "linear", "infinite"];

let kept = { of: null, steps: [] };
let stop = null;

/** Starts to remember; what an older run showed is forgotten as soon as another one begins. */
export function remember() {
  stop ??= effect(() => {
    const now = run.value;
    const frame = now?.frame.value;
    const opening = now?.opening.value;
    if (!frame || !opening) return;
    const of = `${now.number}`;
    if (kept.of !== of || frame.step < (kept.steps.at(-1) ?? 0) || frame.step === 0) kept = empty(of, opening);
    if (frame.step === kept.steps.at(-1)) return;
    if (kept.steps.length >= MOST) thin();
    add(frame);
  });
}

export const remembered = () => kept;

function empty(of, opening) {
  const count = opening.arrays.x.data.length;
  return { of, steps: [], pair: pairOf(count), modes: tracks(), outputs: tracks() };
}

const tracks = () => Object.fromEntries(NAMES.map((name) => [name, []]));

// Two points among the data that are no mirror images: with an odd target those would move along one line.
const pairOf = (count) => [Math.floor((count - 1) * 0.3), Math.max(1, Math.ceil((count - 1) * 0.85))];

function add(frame) {
  kept.steps.push(frame.step);
  for (const name of NAMES) {
    kept.modes[name].push(frame.arrays[`modes_${name}`].data);
    const outputs = frame.arrays[`${name}_train`].data;
    kept.outputs[name].push(kept.pair.map((at) => outputs[at]));
  }
}

// Every other moment goes, the first stays.
function thin() {
  const half = (values) => values.filter((_value, at) => at % 2 === 0);
  kept.steps = half(kept.steps);
  for (const group of [kept.modes, kept.outputs]) for (const name of NAMES) group[name] = half(group[name]);
}
