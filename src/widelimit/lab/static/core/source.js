// Where runs and results come from: the server of this page over one WebSocket, or recordings in an exported page.
//
// A source has
//   status      signal of "connecting" | "ready" | "disconnected"; words: signal, why it is disconnected
//   open(config, { play, pace }) -> Run        replaces the run before, whose frames are dropped from then on
//   task(kind, payload) -> Task                an experiment, the check of a witness, a code cell, a measurement, a snippet
//   cells       signal: whether code cells may run
// A Run has signals
//   config      as the server clamped it (null until opened), changes: [{control, asked, used, reason}]
//   phase       { name, text } with the names of the protocol, and "failed"
//   opening     the frame with all that does not change; frame: the newest one
// and play(), pause(), step(n), rewind(), pace(n). A frame is { step, numbers, sentence, arrays: {name: {shape, data}} }.
// A Task has `progress` (signal of { done, total, text } or null), `result` (promise; rejects with an Error whose message is
// for people) and cancel().

import { page } from "lab/core/page.js";

let chosen = null;

/** The source of this page; its module is loaded when the first part asks. */
export function source() {
  chosen ??= import(page.recorded ? "lab/core/recorded.js" : "lab/core/live.js").then((module) => module.create());
  return chosen;
}
