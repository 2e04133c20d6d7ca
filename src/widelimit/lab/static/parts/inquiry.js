// Choose a picture; the reasons for and against each come after the choice, then a prediction about what it shows.

import { html, render } from "htm/preact";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useKept } from "lab/core/kept.js";
import { linkTo } from "lab/core/links.js";
import { page } from "lab/core/page.js";
import { Predict } from "lab/core/predict.js";
import { useSeal } from "lab/core/unseal.js";

const NAME = "inquiry/choice";

export function attach(element, data) {
  const form = element.querySelector("form");
  form.addEventListener("submit", (event) => event.preventDefault());
  render(html`<${Answer} form=${form} />`, element.querySelector(".inquiry-answer"));
  render(html`<${Predict} prediction=${data.prediction} place="inquiry" />`, element.querySelector(".inquiry-prediction"));
}

function Answer({ form }) {
  const [kept, keep] = useKept(NAME, null);
  const reasons = useSignal(null);
  const missing = useSignal("");
  const { open, trouble } = useSeal();
  const told = async () => (reasons.value ??= await open("inquiry/reasons"));

  useEffect(() => {
    if (!kept) return;
    form.elements.cue.value = kept.cue;
    told();
  }, [kept?.cue]);

  async function commit() {
    const cue = new FormData(form).get("cue");
    missing.value = cue ? "" : "Choose one of the pictures first.";
    if (cue && (await told())) keep({ cue });
  }
  return html`
    <button class="button primary" type="button" onClick=${commit}>${kept && reasons.value ? "Choose again" : "Choose, then see the reasons"}</button>
    <p class="predict-words error" role="status">${missing.value || trouble}</p>
    <div aria-live="polite">${kept && reasons.value ? html`<${Reasons} reasons=${reasons.value} chosen=${kept.cue} />` : null}</div>
  `;
}

function Reasons({ reasons, chosen }) {
  return html`
    <p>${reasons.verdict}</p>
    <dl class="reasons">
      ${reasons.cues.map(
        (cue) => html`
          <div key=${cue.key} data-chosen=${cue.key === chosen}>
            <dt>${cue.name}${cue.key === chosen ? html` <span class="tag">your choice</span>` : null}</dt>
            <dd><strong>For.</strong> ${emphasised(cue.favour)}</dd>
            <dd><strong>Against.</strong> ${emphasised(cue.against)}</dd>
            <dd>It answers to <a class="object-link" href=${linkTo(cue.equation)}>${page.objects[cue.equation].title}</a>.</dd>
          </div>
        `,
      )}
    </dl>
  `;
}

// Words between asterisks are emphasised.
const emphasised = (text) => text.split("*").map((part, i) => (i % 2 ? html`<em>${part}</em>` : part));
