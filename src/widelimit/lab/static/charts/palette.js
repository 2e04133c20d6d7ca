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

// One probe per colour: a probe whose colour changes would be in transition when it is read.
function resolve() {
  const probes = [...ROLES, ...OTHERS].map((name) => {
    const probe = document.createElement("span");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    return [name, probe];
  });
  const found = Object.fromEntries(probes.map(([name, probe]) => [name, getComputedStyle(probe).color]));
  for (const [, probe] of probes) probe.remove();
  found.font = getComputedStyle(document.documentElement).getPropertyValue("--interface").trim() || "sans-serif";
  return found;
}
