// A check beside every equation.

import { html, render } from "htm/preact";
import { Check } from "lab/core/check.js";

export function attach(element) {
  for (const place of element.querySelectorAll(".check[data-witness]")) {
    place.replaceChildren();
    render(html`<${Check} name=${place.dataset.witness} />`, place);
  }
}
