// The numbers of the newest frame, a few times a second, and the sentence that names the regime.

import { html } from "htm/preact";
import { effect, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { page } from "lab/core/page.js";
import { run } from "lab/core/demo.js";
import { number, percent } from "lab/core/format.js";

const PAUSE = 120;
const shown = signal(null);

// At most one picture of the numbers per pause; the last frame is always shown.
function follow() {
  let timer = 0;
  const stop = effect(() => {
    const frame = run.value?.frame.value;
    if (!frame) return;
    if (!timer) {
      shown.value = frame;
      timer = setTimeout(() => {
        timer = 0;
        shown.value = run.peek()?.frame.peek() ?? shown.peek();
      }, PAUSE);
    }
  });
  return () => {
    clearTimeout(timer);
    stop();
  };
}

export function ReadOuts() {
  useEffect(follow, []);
  const numbers = shown.value?.numbers ?? {};
  return html`<div class="demo-readouts">
    <p class="demo-sentence">${shown.value?.sentence ?? ""}</p>
    <dl class="readouts">
      ${page.parts.demo.readouts.map(
        (one) => html`<div key=${one.key}>
          <dt title=${one.help}>${one.label}</dt>
          <dd data-number=${one.key} data-value=${numbers[one.key] ?? ""}>${one.percent ? percent(numbers[one.key]) : number(numbers[one.key])}</dd>
        </div>`,
      )}
    </dl>
  </div>`;
}
