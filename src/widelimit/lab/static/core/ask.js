// “Ask about this”: a small button on every object, which opens it in the research room.

import { signal } from "@preact/signals";

/** The key of the object that was asked about last. */
export const subject = signal(null);

export function ask(key) {
  subject.value = key;
  document.getElementById("room")?.scrollIntoView({ block: "start" });
  document.getElementById("room-title")?.focus({ preventScroll: true });
}

/** Adds the button to every object on the page, and to those that come later. */
export function offerToAsk() {
  const offer = () => document.querySelectorAll(".object[data-key]").forEach(add);
  offer();
  new MutationObserver(offer).observe(document.getElementById("main"), { childList: true, subtree: true });
}

function add(element) {
  if (element.querySelector(":scope > .ask")) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "ask";
  button.textContent = "Ask about this";
  const name = element.getAttribute("aria-label") ?? element.querySelector("h3, strong, a")?.textContent ?? element.dataset.key;
  button.setAttribute("aria-label", `Ask about this: ${name}`);
  button.addEventListener("click", () => ask(element.dataset.key));
  element.append(button);
}
