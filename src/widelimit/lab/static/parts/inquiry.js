// Choose a picture; the reasons for and against each come after the choice.

import { html, render } from "htm/preact";
import { signal } from "@preact/signals";
import { linkTo } from "lab/core/links.js";
import { page, sealed } from "lab/core/page.js";
import { read, write } from "lab/core/store.js";

const NAME = "inquiry/choice";

export async function attach(element) {
  const form = element.querySelector("form");
  const chosen = signal(read(NAME)?.cue ?? null);
  const reasons = signal(null);
  const told = async () => (reasons.value = await sealed("inquiry/reasons"));

  async function commit() {
    const value = new FormData(form).get("cue");
    if (!value) return;
    write(NAME, { cue: value });
    chosen.value = value;
    await told();
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  if (chosen.value) {
    form.elements.cue.value = chosen.value;
    await told();
  }
  render(html`<${Answer} chosen=${chosen} reasons=${reasons} commit=${commit} />`, element.querySelector(".inquiry-answer"));
}

function Answer({ chosen, reasons, commit }) {
  return html`
    <button class="button primary" type="button" onClick=${commit}>${reasons.value ? "Choose again" : "Choose, then see the reasons"}</button>
    <div aria-live="polite">${reasons.value ? html`<${Reasons} reasons=${reasons.value} chosen=${chosen.value} />` : null}</div>
  `;
}

function Reasons({ reasons, chosen }) {
  return html`
    <p>${reasons.verdict}</p>
    <dl class="reasons">
      ${reasons.cues.map(
        (cue) => html`
          <div data-chosen=${cue.key === chosen}>
            <dt>${cue.name}${cue.key === chosen ? html` <span class="tag">your choice</span>` : null}</dt>
            <dd><strong>For.</strong> ${plain(cue.favour)}</dd>
            <dd><strong>Against.</strong> ${plain(cue.against)}</dd>
            <dd><a class="object-link" href=${linkTo(cue.equation)}>${page.objects[cue.equation].title}</a></dd>
          </div>
        `,
      )}
    </dl>
  `;
}

const plain = (text) => text.replaceAll("*", "");
