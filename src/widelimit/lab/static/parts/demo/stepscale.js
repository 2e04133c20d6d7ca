// Under the slider of the step: where the largest stable step lies, the band of the catapult, and what diverges.

import { html } from "htm/preact";
import { run } from "lab/core/demo.js";
import { number } from "lab/core/format.js";
import { share } from "lab/parts/demo/controls.js";

export function StepScale({ control }) {
  const [stable, double] = [1, 2].map((value) => 100 * share(control, value));
  const opening = run.value?.opening.value;
  const rate = opening?.numbers.learning_rate;
  const largest = rate / (run.value?.config.value?.step ?? 1);
  return html`<div class="scale demo-scale" aria-hidden="true">
      <span class="demo-zone stable" style=${{ left: "0%", width: `${stable}%` }}>stable</span>
      <span class="demo-zone catapult" style=${{ left: `${stable}%`, width: `${double - stable}%` }}></span>
      <span class="demo-zone diverges" style=${{ left: `${double}%`, width: `${100 - double}%` }}></span>
      <span class="demo-mark" style=${{ left: `${stable}%` }}>2/λ</span>
      <span class="demo-mark" style=${{ left: `${double}%` }}>4/λ</span>
    </div>
    <small class="hint demo-rate">${opening
      ? html`Learning rate <b data-number="learning_rate" data-value=${rate}>${number(rate)}</b>; the largest stable one, 2/λ, is ${number(largest)}. Between 2/λ and 4/λ lies the catapult; beyond, training diverges as a rule.`
      : "Up to 2/λ it is stable; between 2/λ and 4/λ lies the catapult; beyond, training diverges as a rule."}</small>`;
}
