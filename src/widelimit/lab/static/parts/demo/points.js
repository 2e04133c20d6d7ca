// The reader's own points: clicked into the plot, typed, or pasted as CSV.

import { html } from "htm/preact";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { page } from "lab/core/page.js";
import { asked, change } from "lab/core/demo.js";

const { most_points: MOST, largest: LARGEST } = page.parts.demo.own;

/** A configuration with one point more; it stays as it is where there is no room. */
export function addPoint({ x, y }, newX, newY) {
  if (x.length >= MOST) return { x, y };
  const rounded = (value) => Number(Math.min(Math.max(value, -LARGEST), LARGEST).toFixed(3));
  return { target: "own", x: [...x, rounded(newX)], y: [...y, rounded(newY)] };
}

/** Reads lines of “x, y”; returns { x, y, errors: [sentence] }. A first line of words is a heading. */
export function readPoints(text) {
  const found = { x: [], y: [], errors: [] };
  text.split(/\r?\n/).forEach((line, at) => {
    if (!line.trim() || (at === 0 && /^[^\d]*[a-z][^\d]*$/i.test(line))) return;
    const fields = line.trim().split(/\s*[;\t]\s*|\s*,\s*|\s+/).filter((field) => field !== "");
    const values = fields.map((field) => Number(field.replace("−", "-")));
    const shown = line.length > 40 ? `${line.slice(0, 40)}…` : line;
    if (values.length !== 2) found.errors.push(`Line ${at + 1} holds ${values.length} values (“${shown}”); expected two, x and y.`);
    else if (!values.every(Number.isFinite)) found.errors.push(`Line ${at + 1} (“${shown}”) is not made of two numbers; write them like 0.5, −1.2.`);
    else if (values.some((value) => Math.abs(value) > LARGEST))
      found.errors.push(`Line ${at + 1} goes beyond ±${LARGEST} (“${shown}”); rescale your data.`);
    else {
      found.x.push(values[0]);
      found.y.push(values[1]);
    }
  });
  if (!found.errors.length && (found.x.length < 2 || found.x.length > MOST))
    found.errors.push(`There are ${found.x.length} points; expected 2 to ${MOST}.`);
  return found;
}

const written = ({ x, y }) => x.map((value, at) => `${value}, ${y[at]}`).join("\n");

export function OwnPoints() {
  const text = useSignal(written(asked.peek()));
  const errors = useSignal([]);
  useEffect(() => asked.subscribe((now) => (text.value = written(now))), []);
  const submit = (event) => {
    event.preventDefault();
    const found = readPoints(text.peek());
    errors.value = found.errors.slice(0, 4);
    if (!found.errors.length) change({ target: "own", x: found.x, y: found.y });
  };
  const wrong = errors.value.length > 0;
  return html`<form class="demo-own" onSubmit=${submit} novalidate>
    <label for="demo-own-text">Your points, one per line: x, y</label>
    <textarea id="demo-own-text" class="code" rows="7" spellcheck="false" aria-describedby="demo-own-help demo-own-errors"
      aria-invalid=${wrong ? "true" : undefined} value=${text.value} onInput=${(event) => (text.value = event.currentTarget.value)}></textarea>
    <small id="demo-own-help" class="hint">Click in the plot to add a point, or type or paste lines here, separated by comma, semicolon, tab or blank. From 2 to ${MOST} points, values within ±${LARGEST}; inputs outside ±1.5 are trained on but not drawn.</small>
    <div id="demo-own-errors" role="alert">${errors.value.map((one) => html`<p class="error">${one}</p>`)}</div>
    <div class="buttons"><button class="button" type="submit">Use these points</button></div>
  </form>`;
}
