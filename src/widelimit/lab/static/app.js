// The entry: attaches the script of every part to its element, once it comes near the view.

import { page } from "lab/core/page.js";
import { followDeepLinks } from "lab/core/links.js";

document.documentElement.classList.replace("no-js", "js");
followDeepLinks();

// Parts at the top of the page attach at once; the others when they come within one screen.
const near = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => attach(entry.target)),
  { rootMargin: "100% 0px" },
);
for (const element of document.querySelectorAll("[data-part]")) near.observe(element);

async function attach(element) {
  near.unobserve(element);
  const key = element.dataset.part;
  const part = await import(`lab/parts/${key}.js`);
  part.attach(element, page.parts[key]);
  element.dataset.attached = "";
}
