// The entry: attaches the script of every part to its element, once it comes near the view.

import { offerToAsk } from "lab/core/ask.js";
import { page } from "lab/core/page.js";
import { followDeepLinks } from "lab/core/links.js";
import { openForPrint } from "lab/core/print.js";
import { takeToken } from "lab/core/token.js";

const attached = new Map();

takeToken();
openForPrint();
document.documentElement.classList.replace("no-js", "js");

// Parts at the top of the page attach at once; the others when they come within one screen.
const near = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => attach(entry.target)),
  { rootMargin: "100% 0px" },
);
for (const element of document.querySelectorAll("[data-part]")) near.observe(element);
offerToAsk();
followDeepLinks((part) => attach(document.querySelector(`[data-part="${part}"]`)));

/** Attaches the script of a part, once; ends when it has been attached, or when its failure has been told. */
function attach(element) {
  if (!element) return Promise.resolve();
  near.unobserve(element);
  if (!attached.has(element)) attached.set(element, load(element));
  return attached.get(element);
}

async function load(element) {
  const key = element.dataset.part;
  const name = `lab/parts/${key}.js`;
  if (!exists(name)) return;
  const before = [...element.childNodes].map((node) => node.cloneNode(true));
  try {
    const part = await import(name);
    await part.attach(element, page.parts[key]);
    element.dataset.attached = "";
  } catch (error) {
    console.error(error);
    element.replaceChildren(...before, failure(error));
    element.dataset.failed = "";
  }
}

// A part may have no script; then the import map does not name one.
function exists(name) {
  try {
    return Boolean(import.meta.resolve(name));
  } catch {
    return false;
  }
}

function failure(error) {
  const words = document.createElement("p");
  words.className = "error";
  words.setAttribute("role", "alert");
  words.textContent = `What moves in this part could not be started (${error.message}). Its text is complete; reloading the page tries again.`;
  return words;
}
