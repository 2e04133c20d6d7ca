// Predict first: one control, one quantity; the outcome is measured, and comes into the page, only after a commitment.
//
// A prediction (from a content file; see _prediction.py) is
//   key, question, control, from, to    the one change; question and why may be { html }
//   base, steps                         the rest of the state (part of a LiveConfig), and the gradient steps of the run
//   quantity, quantity_name, unit       a number of the run, or for a drawn curve the name of an array
//   answer                              "direction" | "choice" | "number" | "curve"
//   of                                  what is judged: "after" or "ratio" (after / before)
//   choices                             [{ text, low, high, phase }]; tolerance; range of a drawn curve
//   why                                 key of a sealed text that is fetched after the reveal
//
// Predict({ prediction, onRecord, state, place }): `state` is an optional signal of the whole state of the demo: once the
// reader has begun, a change of anything but the one control voids the prediction. The record kept in the store is
//   { key, place, question, control, from, to, config, steps, quantity, answer, asked, prediction, committed, outcome, gap, hit,
//     revealed, library, numbers }
// and never changes; `prediction` is null where the reader asked to be shown, which earns nothing.

import { html } from "htm/preact";
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Answer, answered } from "lab/core/answer.js";
import { Outcome } from "lab/core/outcome.js";
import { grade, list, outcome } from "lab/core/grade.js";
import { sealed } from "lab/core/page.js";
import { source } from "lab/core/source.js";
import { append, names, read, subscribe } from "lab/core/store.js";

const PREFIX = "prediction/";

export function Predict({ prediction, onRecord, state, place }) {
  const form = useRef(null);
  const answer = useSignal(null);
  const stage = useSignal({ name: "asking", text: "" });
  const result = useSignal(null);
  const begun = useRef(null);
  const committed = useRef(null);

  const given = useSignal([]);

  useEffect(() => recall(prediction, result, stage), [prediction.key]);
  useEffect(() => void (prediction.answer === "curve" && points(prediction, given)), [prediction.key]);
  useEffect(() => state?.subscribe((now) => watch(prediction, begun, now, stage)), [prediction.key, state]);

  const begin = () => (begun.current ??= state ? { ...state.peek() } : {});
  const change = (value) => {
    begin();
    answer.value = value;
    if (stage.value.name === "void" || stage.value.text) stage.value = { name: "asking", text: "" };
  };
  const commit = (event) => {
    event.preventDefault();
    const given = answered(prediction, answer.value);
    if (given === null) return (stage.value = { name: "asking", text: "Give an answer first; a rough one is enough." });
    begin();
    committed.current = { prediction: given, at: new Date().toISOString() };
    run();
  };
  const show = () => {
    begin();
    committed.current = { prediction: null, at: null };
    run();
  };
  const run = async () => {
    try {
      const runs = await measure(prediction, (text) => tell(stage, text));
      if (stage.value.name === "void") return;
      const where = place ?? form.current?.closest("[data-part]")?.dataset.part ?? "";
      const record = recordOf(prediction, committed.current, runs, where);
      append(`${PREFIX}${prediction.key}/`, record);
      begun.current = null;
      result.value = { record, after: runs.after, why: await reason(prediction) };
      stage.value = { name: "revealed", text: "" };
      onRecord?.(record);
    } catch (error) {
      if (stage.value.name !== "void") stage.value = { name: "failed", text: `${error.message} Your answer is kept.` };
    }
  };
  const again = () => {
    [answer.value, result.value, begun.current] = [null, null, null];
    stage.value = { name: "asking", text: "" };
  };

  const { name, text } = stage.value;
  const open = name === "asking" || name === "void";
  return html`<form class="predict" ref=${form} onSubmit=${commit} aria-labelledby=${`predict-${prediction.key}`} data-stage=${name} data-prediction=${prediction.key}>
    <p class="predict-label">Predict first</p>
    <div id=${`predict-${prediction.key}`}><${Words} text=${prediction.question} class="predict-question" /></div>
    <p class="predict-change">${changeWords(prediction)}</p>
    ${name !== "revealed" && html`<fieldset disabled=${!open}>
      <legend class="visually-hidden">Your prediction</legend>
      <${Answer} prediction=${prediction} value=${answer.value} given=${given.value} onChange=${change} />
    </fieldset>`}
    ${open && html`<div class="buttons">
      <button class="button primary" type="submit">Commit</button>
      <button class="button quiet" type="button" onClick=${show}>Show me instead</button>
    </div>`}
    ${name === "failed" && html`<div class="buttons"><button class="button" type="button" onClick=${run}>Run it again</button></div>`}
    <p class=${name === "failed" || name === "void" ? "predict-words error" : "predict-words"} role="status">${text}</p>
    ${name === "revealed" && html`<${Outcome} prediction=${prediction} result=${result.value} onAgain=${again} />`}
  </form>`;
}

/** A text of a content file: plain, or with formulas and links as `{ html }`. */
export function Words({ text, class: name = "" }) {
  if (typeof text === "string") return html`<p class=${name}>${text}</p>`;
  return html`<div class=${name} dangerouslySetInnerHTML=${{ __html: text.html }} />`;
}

/** The records of a prediction, oldest first; all of them without a key. */
export const records = (key = "") =>
  names(key ? `${PREFIX}${key}/` : PREFIX).map(read).filter(Boolean).sort((a, b) => (a.revealed < b.revealed ? -1 : 1));

/** Calls `listener` when a prediction has been recorded, here or in another tab. */
export const onRecords = (listener) => subscribe(PREFIX, listener);

/** A prediction that was committed before its outcome was seen. */
export const counts = (record) => Boolean(record.committed && record.prediction !== null && record.revealed);

const readable = (value) => (typeof value === "boolean" ? (value ? "on" : "off") : String(value).replace("-", "−"));

function changeWords(prediction) {
  const control = prediction.control_name ?? prediction.control.replaceAll("_", " ");
  const change = prediction.from === prediction.to ? `${control}: ${readable(prediction.to)}` : `${control}: ${readable(prediction.from)} → ${readable(prediction.to)}`;
  const steps = prediction.steps ? `, ${prediction.steps} gradient ${prediction.steps === 1 ? "step" : "steps"}` : ", before training";
  return html`<strong>${change}</strong>${steps}. Everything else stays as it is.`;
}

// What was predicted before is shown again after a reload: its outcome is known to the reader.
function recall(prediction, result, stage) {
  const last = records(prediction.key).at(-1);
  if (!last || last.answer !== prediction.answer || stage.peek().name !== "asking") return;
  result.value = { record: last, after: null, why: null };
  stage.value = { name: "revealed", text: "" };
  reason(prediction).then((why) => (result.value?.record === last ? (result.value = { ...result.value, why }) : null));
}

// One control is the question's; a second one makes it a different question.
function watch(prediction, begun, now, stage) {
  const then = begun.current;
  if (!then || !now || !["asking", "measuring"].includes(stage.peek().name)) return;
  const others = Object.keys(now).filter((key) => key !== prediction.control && JSON.stringify(now[key]) !== JSON.stringify(then[key]));
  if (!others.length) return;
  begun.current = null;
  const control = prediction.control.replaceAll("_", " ");
  const words = others.map((key) => key.replaceAll("_", " ")).join(" and ");
  stage.value = { name: "void", text: `This prediction is void: you changed ${words}. It is about ${control} alone, and with two changes nobody can say which one did it. Answer again to start over.` };
}

// To draw a curve one sees the training points; they are part of the question, not of its outcome.
async function points(prediction, given) {
  try {
    const config = { ...prediction.base, [prediction.control]: prediction.to };
    const start = await (await source()).task("measure", { config, steps: 0 }).result;
    given.value = [{ name: "training points", role: "data", mark: "points", x: list(start.arrays.x), y: list(start.arrays.y) }];
  } catch {
    given.value = [];
  }
}

const tell = (stage, text) => {
  if (stage.value.name !== "void") stage.value = { name: "measuring", text };
};

async function measure(prediction, say) {
  say("Committed. Connecting.");
  const from = await source();
  const once = async (value, words) => {
    say(words);
    const config = { ...prediction.base, [prediction.control]: value };
    return from.task("measure", { config, steps: prediction.steps }).result;
  };
  const before = prediction.from === prediction.to || prediction.answer === "curve" ? null : await once(prediction.from, "Committed. Training before the change.");
  const after = await once(prediction.to, "Committed. Training after the change.");
  return { before: before ?? after, after, library: from.library?.value ?? "" };
}

function recordOf(prediction, committed, { before, after, library }, place) {
  const found = outcome(prediction, before, after);
  const graded = grade(prediction, committed.prediction, found);
  const { key, question, control, from, to, steps, quantity, answer } = prediction;
  const data = { x: list(after.arrays?.x), y: list(after.arrays?.y) };
  return Object.freeze({
    key, place, question, control, from, to, steps, quantity, answer, library,
    config: after.config, prediction: committed.prediction, committed: committed.at, revealed: new Date().toISOString(),
    outcome: prediction.answer === "curve" ? { ...found, data } : found, ...graded, numbers: after.numbers, sentence: after.sentence,
  });
}

// The explanation is no part of the outcome: where it cannot be fetched, the outcome is shown without it.
async function reason(prediction) {
  if (!prediction.why) return null;
  try {
    return await sealed(prediction.why);
  } catch {
    return null;
  }
}
