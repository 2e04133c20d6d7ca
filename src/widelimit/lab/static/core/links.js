// Deep links: the fragment names the anchor of an object; following it scrolls there and moves the focus.

import { page } from "lab/core/page.js";

export const linkTo = (key) => `#${page.objects[key].anchor}`;

export function focusAnchor(anchor) {
  const target = document.getElementById(anchor);
  if (!target) return;
  if (!target.matches("a, button, input, select, textarea, [tabindex]")) target.tabIndex = -1;
  target.closest("details")?.setAttribute("open", "");
  target.scrollIntoView({ block: "start" });
  target.focus({ preventScroll: true });
}

export function followDeepLinks() {
  const follow = () => location.hash.length > 1 && focusAnchor(decodeURIComponent(location.hash.slice(1)));
  addEventListener("hashchange", follow);
  follow();
}
