// Deep links: the fragment names the anchor of an object; following it scrolls there and moves the focus.

import { page } from "lab/core/page.js";

const PATIENCE = 5000;

export const linkTo = (key) => `#${page.objects[key].anchor}`;

/** Shows an element of the page: opens what hides it, scrolls to it and moves the focus there. */
export function focusAnchor(anchor) {
  const target = document.getElementById(anchor);
  if (!target) return false;
  for (let at = target.parentElement?.closest("details"); at; at = at.parentElement?.closest("details")) at.open = true;
  if (target.matches("details")) target.open = true;
  // A part that shows one of several things at a time listens to this and shows the one that is wanted.
  target.dispatchEvent(new CustomEvent("reveal", { bubbles: true }));
  if (!target.matches("a[href], button, input, select, textarea, summary, [tabindex]")) target.tabIndex = -1;
  target.scrollIntoView({ block: "start" });
  target.focus({ preventScroll: true });
  return true;
}

/** Follows the fragment now, when it changes, and when it is clicked again; `attach(part)` starts a part's script. */
export function followDeepLinks(attach) {
  const follow = () => location.hash.length > 1 && reach(decoded(location.hash), attach);
  addEventListener("hashchange", follow);
  addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href^='#']");
    if (link && link.hash === location.hash) follow();
  });
  follow();
}

function decoded(hash) {
  try {
    return decodeURIComponent(hash.slice(1));
  } catch {
    return hash.slice(1);
  }
}

// The part is attached first: its script may make the element, or change the place where it stands.
async function reach(anchor, attach) {
  focusAnchor(anchor);
  const part = document.getElementById(anchor)?.closest("[data-part]")?.dataset.part ?? partOf(anchor);
  if (!part) return;
  await attach(part);
  if (!(await present(anchor)) || decoded(location.hash) !== anchor) return;
  const target = document.getElementById(anchor);
  if (document.activeElement === document.body || !target.contains(document.activeElement)) focusAnchor(anchor);
  else target.scrollIntoView({ block: "start" });
}

const partOf = (anchor) => Object.values(page.objects).find((object) => object.anchor === anchor)?.part;

function present(anchor) {
  if (document.getElementById(anchor)) return Promise.resolve(true);
  return new Promise((resolve) => {
    const watcher = new MutationObserver(() => document.getElementById(anchor) && done(true));
    const timer = setTimeout(() => done(false), PATIENCE);
    const done = (found) => {
      watcher.disconnect();
      clearTimeout(timer);
      resolve(found);
    };
    watcher.observe(document.body, { childList: true, subtree: true });
  });
}
