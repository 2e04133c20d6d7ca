// Draws any panel of an exhibit or of a live run: title, chart, text alternative, and the data as a table.

import { html } from "htm/preact";
import { useComputed } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { typeset } from "lab/core/format.js";
import { Tables } from "lab/core/table.js";

const SLOW = 700;

/**
 * A figure. `panel` is a panel, or a signal of panels (which are then drawn as they come, without rendering anew).
 * `options` go to the chart; `children` stand between chart and caption.
 */
export function Panel({ panel, options, children }) {
  const live = typeof panel.subscribe === "function";
  const first = live ? panel.peek() : panel;
  const place = useRef(null);
  const newest = useRef(first);
  newest.current = first;
  useEffect(() => draw(place.current, panel, live, newest, options), [live ? panel : null, first.kind]);
  useEffect(() => {
    if (!live) place.current.chart?.update(panel);
  }, [panel]);
  return html`<figure class="panel">
    <p class="title">${typeset(first.title)}</p>
    <div class="chart" role="img" aria-label=${live ? typeset(first.title) : `${typeset(first.title)}. ${typeset(first.text)}`} ref=${place}></div>
    ${children}
    ${live ? html`<${LiveCaption} panel=${panel} />` : html`<figcaption>${typeset(first.text)}</figcaption>`}
    <${DataTable} panel=${panel} live=${live} />
  </figure>`;
}

// What is said of a live picture may change with it; the rest is not rendered anew.
function LiveCaption({ panel }) {
  const text = useComputed(() => panel.value.text);
  return html`<figcaption>${typeset(text.value)}</figcaption>`;
}

// The chart's module is loaded when a panel of its kind is first shown.
function draw(place, panel, live, newest, options) {
  let chart = null;
  let ended = false;
  let unsubscribe = null;
  const latest = () => (live ? panel.peek() : newest.current);
  import(`lab/charts/${latest().kind}.js`).then(({ mount }) => {
    if (ended) return;
    chart = place.chart = mount(place, latest(), options);
    if (live) unsubscribe = panel.subscribe((next) => next && chart.update(next));
  });
  return () => {
    ended = true;
    unsubscribe?.();
    chart?.destroy();
    place.chart = null;
  };
}

// The table is written when it is opened; that of a live panel follows slowly, so that it can be read.
function DataTable({ panel, live }) {
  const [open, setOpen] = useState(false);
  const [, refresh] = useState(0);
  useEffect(() => {
    if (!open || !live) return undefined;
    const timer = setInterval(() => refresh((count) => count + 1), SLOW);
    return () => clearInterval(timer);
  }, [open, live]);
  return html`<details class="details" onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary>The data as a table</summary>
    ${open && html`<${Tables} panel=${live ? panel.peek() : panel} />`}
  </details>`;
}
