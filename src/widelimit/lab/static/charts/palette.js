// The colours of the page as canvases need them: resolved from the CSS tokens, and again when the scheme changes.

const ROLES = ["finite", "linear", "infinite", "target", "data", "theory", "neutral"];
const OTHERS = ["ink", "soft", "rule", "edge", "ground", "raised"];

let cache = null;
const watchers = new Set();

/** Colours by token name; a role of a series is the name of a token. */
export function palette() {
  cache ??= resolve();
  return cache;
}

/** Calls `redraw` when colours change (dark, light, print); returns a function that ends this. */
export function watchPalette(redraw) {
  watchers.add(redraw);
  return () => watchers.delete(redraw);
}

for (const query of ["(prefers-color-scheme: dark)", "print", "(forced-colors: active)"]) {
  matchMedia(query).addEventListener("change", () => {
    cache = null;
    for (const redraw of watchers) redraw();
  });
}

function resolve() {
  const probe = document.createElement("span");
  document.body.append(probe);
  const style = getComputedStyle(probe);
  const read = (name) => {
    probe.style.color = `var(--${name})`;
    return style.color;
  };
  const found = Object.fromEntries([...ROLES, ...OTHERS].map((name) => [name, read(name)]));
  found.font = getComputedStyle(document.documentElement).getPropertyValue("--interface").trim() || "sans-serif";
  probe.remove();
  return found;
}
