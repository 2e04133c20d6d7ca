// The ways to answer a prediction: a direction, one of several choices, a number, a drawn curve.

import { html } from "htm/preact";
import { DIRECTIONS, typed } from "lab/core/grade.js";
import { Sketch } from "lab/core/sketch.js";

const POINTS = 11;

export function Answer({ prediction, value, given, onChange }) {
  const Kind = { direction: Direction, choice: Choice, number: Number_, curve: Curve }[prediction.answer];
  return html`<${Kind} prediction=${prediction} value=${value} given=${given} onChange=${onChange} />`;
}

/** The answer as it is recorded, or null if there is none yet. */
export function answered(prediction, value) {
  if (value === null) return null;
  if (prediction.answer === "number") return typed(prediction, value);
  return value;
}

function Direction({ prediction, value, onChange }) {
  const within = Math.round(100 * (prediction.tolerance ?? 0.1));
  return html`<${Radios} prediction=${prediction} options=${DIRECTIONS} value=${value} onChange=${onChange} />
    <p class="predict-hint">“About the same” is within ${within} %.</p>`;
}

function Choice({ prediction, value, onChange }) {
  const options = prediction.choices.map((choice, i) => ({ key: i, text: choice.text }));
  return html`<${Radios} prediction=${prediction} options=${options} value=${value} onChange=${onChange} tall />`;
}

function Radios({ prediction, options, value, onChange, tall }) {
  return html`<div class=${tall ? "predict-choices" : "segmented"}>
    ${options.map(({ key, text }) => html`<label key=${key}>
      <input type="radio" name=${prediction.key} value=${key} checked=${value === key} onChange=${() => onChange(key)} />
      <span>${text}</span>
    </label>`)}
  </div>`;
}

function Number_({ prediction, value, onChange }) {
  const unit = prediction.of === "ratio" ? "times as large" : prediction.unit;
  return html`<label class="predict-number">
    <span>${prediction.quantity_name ?? prediction.quantity.replaceAll("_", " ")}</span>
    <input type="text" inputmode="decimal" autocomplete="off" value=${value ?? ""} onInput=${(event) => onChange(event.target.value)} />
    ${unit && html`<span>${unit}</span>`}
  </label>`;
}

function Curve({ prediction, value, given, onChange }) {
  const [low, high] = prediction.domain ?? [-1.5, 1.5];
  const x = Array.from({ length: POINTS }, (_, i) => low + ((high - low) * i) / (POINTS - 1));
  const points = value ?? { x, y: x.map(() => 0) };
  return html`<${Sketch} points=${points} range=${prediction.range} curves=${given} label="Draw the curve"
      onChange=${(y) => onChange({ x, y })} />
    <p class="predict-hint">Draw with the pointer. With the keyboard: left and right choose a point, up and down move it.</p>`;
}
