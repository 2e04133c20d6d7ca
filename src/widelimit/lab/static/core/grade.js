// What a prediction is compared with: the outcome of a measured run, the gap to it, and whether that is close enough.
//
// A measured run is { config, step, phase, numbers, sentence, arrays }. What is judged is said by `of`: the quantity "after"
// the change of the control, or the "ratio" after / before.

import { typeset } from "lab/core/format.js";

export const DIRECTIONS = [
  { key: "falls", text: "It falls" },
  { key: "same", text: "It stays about the same" },
  { key: "rises", text: "It rises" },
];
const SAME = 0.1;
const CLOSE = 0.25;

/** The values behind the outcome: the quantity before and after, as numbers (or null) or as a curve. */
export function outcome(prediction, before, after) {
  if (prediction.answer === "curve") {
    const y = list(after.arrays?.[prediction.quantity]);
    return y.length ? { x: list(after.arrays.grid), y, phase: after.phase } : null;
  }
  const [was, is] = [before, after].map((run) => run.numbers[prediction.quantity] ?? null);
  const ratio = was === null || is === null || was === 0 ? null : is / was;
  return { before: was, after: is, ratio, phase: after.phase };
}

/** { text, gap, hit }: the outcome in words, how far the answer was from it, and whether it was right (null: not to be said). */
export function grade(prediction, answer, found) {
  if (!found) return { text: "The run gave no value to compare with.", gap: null, hit: null };
  return { direction, choice, number, curve }[prediction.answer](prediction, answer, found);
}

function direction(prediction, answer, found) {
  const tolerance = prediction.tolerance ?? SAME;
  if (found.ratio === null) return nothing(prediction, found);
  const came = found.ratio > 1 + tolerance ? "rises" : found.ratio < 1 - tolerance ? "falls" : "same";
  const text = `${DIRECTIONS.find((one) => one.key === came).text}: ${fromTo(prediction, found)}.`;
  return { text, came, gap: null, hit: answer === null ? null : answer === came };
}

function choice(prediction, answer, found) {
  const value = found[prediction.of ?? "ratio"];
  const fits = (one) => (one.phase ? one.phase === found.phase : value !== null && value >= (one.low ?? -Infinity) && value < (one.high ?? Infinity));
  const came = prediction.choices.findIndex(fits);
  const numbers = found.before === null && found.after === null ? "" : ` (${fromTo(prediction, found)})`;
  if (came < 0) return { text: `None of these: ${fromTo(prediction, found)}.`, came, gap: null, hit: answer === null ? null : false };
  return { text: `${prediction.choices[came].text}${numbers}`, came, gap: null, hit: answer === null ? null : Number(answer) === came };
}

function number(prediction, answer, found) {
  const value = found[prediction.of ?? "after"];
  if (value === null) return nothing(prediction, found);
  const text = prediction.of === "ratio" ? `${shown(value)} times as large: ${fromTo(prediction, found)}.` : `${unit(prediction, value)} (before the change: ${unit(prediction, found.before)})`;
  if (answer === null) return { text, came: value, gap: null, hit: null };
  const gap = Math.abs(answer - value);
  return { text, came: value, gap, hit: gap <= (prediction.tolerance ?? CLOSE) * Math.abs(value) };
}

function curve(prediction, answer, found) {
  const text = found.phase === "diverged" ? "The run diverged; its last finite curve is drawn." : "The curve of the run is drawn beside yours.";
  if (answer === null) return { text, gap: null, hit: null };
  const errors = answer.x.map((x, i) => (answer.y[i] - at(found, x)) ** 2);
  const gap = Math.sqrt(errors.reduce((a, b) => a + b, 0) / errors.length);
  return { text, gap, hit: gap <= (prediction.tolerance ?? CLOSE) };
}

const nothing = (prediction, found) => ({ text: `There is nothing to compare: ${fromTo(prediction, found)}.`, gap: null, hit: null });
const fromTo = (prediction, found) => `${unit(prediction, found.before)} before, ${unit(prediction, found.after)} after`;

// Linear between the points of a curve.
function at({ x, y }, where) {
  const right = Math.max(1, x.findIndex((one) => one >= where));
  const share = (where - x[right - 1]) / (x[right] - x[right - 1]);
  return y[right - 1] + Math.min(Math.max(share, 0), 1) * (y[right] - y[right - 1]);
}

/** A value with its unit; with the unit "%" it is a share. */
export function unit(prediction, value) {
  if (value === null || value === undefined) return "no value";
  if (prediction.unit === "%") return `${shown(100 * value)}\u202f%`;
  return prediction.unit ? `${shown(value)} ${prediction.unit}` : shown(value);
}

/** A number with three significant digits. */
export function shown(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
  return typeset(text);
}

/** The number in what was typed, in the unit of the prediction; null if it is none. */
export function typed(prediction, text) {
  const value = Number(text.trim().replace(",", ".").replace("−", "-").replace(/\s*%$/, ""));
  if (!text.trim() || !Number.isFinite(value)) return null;
  return prediction.unit === "%" && prediction.of !== "ratio" ? value / 100 : value;
}

/** An answer in words. */
export function said(prediction, answer) {
  if (answer === null) return "nothing; you asked to be shown";
  if (prediction.answer === "direction") return DIRECTIONS.find((one) => one.key === answer).text;
  if (prediction.answer === "choice") return prediction.choices[answer].text;
  if (prediction.answer === "number") return prediction.of === "ratio" ? `${shown(answer)} times` : unit(prediction, answer);
  return "the curve you drew";
}

// Arrays come as lists, or with a shape.
export const list = (array) => Array.from(array?.data ?? array ?? []);
