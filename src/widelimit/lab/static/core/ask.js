// “Ask about this”: a small button on every object, which opens it in the research room.

import { signal } from "@preact/signals";
import { page } from "lab/core/page.js";

/** The key of the object that was asked about last. */
export const subject = signal(null);

export function ask(key) {
  subject.value = key;
  document.getElementById("room")?.scrollIntoView({ block: "start" });
  document.getElementById("room-title")?.focus({ preventScroll: true });
}

/** Adds the button to every object on the page, and to those that come later. */
export function offerToAsk() {
  const offer = () => document.querySelectorAll(".object[data-key]").forEach((element) => add(element, element));
  // The concept of the page is its title; the button stands below its first words.
  const title = document.querySelector("h1[data-key]");
  if (title) add(title, title.parentElement);
  offer();
  new MutationObserver(offer).observe(document.getElementById("main"), { childList: true, subtree: true });
}

function add(element, place) {
  if (place.querySelector(`:scope > .ask[data-about="${element.dataset.key}"]`)) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "ask";
  button.dataset.about = element.dataset.key;
  button.textContent = "Ask about this";
  const name = element.getAttribute("aria-label") ?? page.objects[element.dataset.key]?.title ?? element.querySelector("h3, strong, a")?.textContent ?? element.dataset.key;
  button.setAttribute("aria-label", `Ask about this: ${name}`);
  button.addEventListener("click", () => ask(element.dataset.key));
  place === element ? element.append(button) : (element.parentElement.querySelector(".thesis") ?? element).after(button);
}
