// The data table of a panel: every plot has one.

import { html } from "htm/preact";
import { exact } from "lab/core/format.js";

const MOST_ROWS = 45;

/** The tables of a panel of any kind. */
export function Tables({ panel }) {
  return html`${KINDS[panel.kind](panel).map(
    ({ caption, head, rows }) => html`<div class="table" tabindex="0" role="region" aria-label=${`Table: ${caption}`}>
      <table>
        <caption>${caption}</caption>
        <thead><tr>${head.map((text) => html`<th scope="col">${text}</th>`)}</tr></thead>
        <tbody>${rows.map(
          ([first, ...others]) => html`<tr><th scope="row">${first}</th>${others.map((text) => html`<td>${text}</td>`)}</tr>`,
        )}</tbody>
      </table>
    </div>`,
  )}`;
}

const KINDS = { curves, matrices, surface };

// Series over the same inputs share a table.
function curves(panel) {
  const groups = [];
  for (const series of panel.series) {
    const group = groups.find((one) => same(one[0].x, series.x));
    group ? group.push(series) : groups.push([series]);
  }
  return groups.map((group) => {
    const columns = group.flatMap((series) => [
      [series.name, series.y],
      ...(series.low?.length ? [[`${series.name}, lower end`, series.low], [`${series.name}, upper end`, series.high]] : []),
    ]);
    return {
      caption: `${panel.title}: ${group.map((series) => series.name).join(", ")}`,
      head: [panel.x.label, ...columns.map(([name]) => name)],
      rows: Array.from(group[0].x, (x, at) => [exact(x), ...columns.map(([, values]) => exact(values[at]))]),
    };
  });
}

const same = (a, b) => a === b || (a.length === b.length && Array.prototype.every.call(a, (value, at) => value === b[at]));

function matrices(panel) {
  return panel.matrices.map((matrix) => ({
    caption: `${panel.title}: ${matrix.name}`,
    head: ["", ...Array.from(matrix.values[0], (_value, at) => panel.labels[at] ?? String(at + 1))],
    rows: matrix.values.map((row, at) => [panel.labels[at] ?? String(at + 1), ...Array.from(row, exact)]),
  }));
}

function surface(panel) {
  const stride = Math.ceil(Math.max(panel.x.length, panel.y.length) / MOST_ROWS);
  const kept = (values) => values.filter((_value, at) => at % stride === 0);
  const every = stride > 1 ? ` (every ${stride}. row and column)` : "";
  const points = { caption: "Points", head: ["", panel.x_axis.label, panel.y_axis.label], rows: panel.points.map((p) => [p.label, exact(p.x), exact(p.y)]) };
  const values = {
    caption: `${panel.value} over ${panel.x_axis.label} (columns) and ${panel.y_axis.label} (rows)${every}`,
    head: ["", ...kept(panel.x).map(exact)],
    rows: kept(panel.values).map((row, at) => [exact(kept(panel.y)[at]), ...kept(row).map(exact)]),
  };
  return panel.points.length ? [values, points] : [values];
}
