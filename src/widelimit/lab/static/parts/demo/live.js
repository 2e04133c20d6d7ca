// The live view: one panel or more, drawn anew with every frame that is seen, and only where it is seen.

import { html } from "htm/preact";
import { effect, signal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { asked, change, run, view } from "lab/core/demo.js";
import { Panel } from "lab/core/panel.js";
import { remembered } from "lab/parts/demo/history.js";
import { VIEWS } from "lab/parts/demo/views.js";
import { addPoint } from "lab/parts/demo/points.js";

/** The panels of the view `name`. */
export function LiveView({ name }) {
  const panels = useMemo(() => [], [name]);
  const [count, setCount] = useState(0);
  const place = useRef(null);
  useEffect(() => follow(name, panels, place, setCount), [name]);
  const shown = panels.slice(0, count || panels.length);
  return html`<div class="demo-live" ref=${place}>
    ${shown.length === 0 && html`<p class="demo-waiting">The first picture is on its way.</p>`}
    ${shown.map((panel, at) => html`<${Panel} key=${`${name}/${at}`} panel=${panel} options=${options(name)} />`)}
  </div>`;
}

const PICK = { onPick: (x, y) => asked.peek().target === "own" && change(addPoint(asked.peek(), x, y)) };
const options = (name) => (name === "function" ? PICK : undefined);

function follow(name, panels, place, setCount) {
  let wanted = false;
  let seen = true;
  const draw = () => {
    wanted = false;
    const now = run.peek();
    if (!seen || !now?.frame.peek() || !now.opening.peek() || view.peek() !== name) return;
    const made = VIEWS[name](now.opening.peek(), now.frame.peek(), now.config.peek() ?? asked.peek(), remembered());
    made.forEach((panel, at) => (panels[at] ? (panels[at].value = panel) : (panels[at] = signal(panel))));
    setCount(made.length);
  };
  const ask = () => {
    if (wanted) return;
    wanted = true;
    requestAnimationFrame(draw);
  };
  const observer = new IntersectionObserver(([entry]) => {
    seen = entry.isIntersecting;
    if (seen) ask();
  }, { rootMargin: "20% 0px" });
  observer.observe(place.current);
  const stop = effect(() => {
    if (run.value?.frame.value) ask();
  });
  return () => {
    stop();
    observer.disconnect();
  };
}
