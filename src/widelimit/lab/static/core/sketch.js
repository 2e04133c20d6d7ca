// A curve to be drawn: with a pointer, or point by point with the keyboard. Points sit at fixed inputs.

import { html } from "htm/preact";
import { useRef } from "preact/hooks";
import { shown } from "lab/core/grade.js";

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [640, 340, 44, 34, 12, 12];
const STEPS = 40;

/**
 * points: { x, y } of what is drawn; `onChange(y)` hears of every change, and without it the curve is fixed.
 * curves: [{ name, role, x, y, mark }] beside it; range: [low, high] of the vertical axis.
 */
export function Sketch({ points, range, curves = [], label, onChange }) {
  const svg = useRef(null);
  const drawing = useRef(null);
  const xs = [...points.x, ...curves.flatMap((curve) => curve.x)];
  const scale = scales(Math.min(...xs), Math.max(...xs), ...range);

  const where = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.current.getScreenCTM().inverse());
    return { x: scale.inputOf(point.x), y: clamp(scale.outputOf(point.y), range) };
  };
  const down = (event) => {
    if (!onChange) return;
    svg.current.setPointerCapture(event.pointerId);
    drawing.current = where(event);
    onChange(along(points, drawing.current, drawing.current));
  };
  const move = (event) => {
    if (!drawing.current) return;
    const here = where(event);
    onChange(along(points, drawing.current, here));
    drawing.current = here;
  };
  const up = () => (drawing.current = null);

  const press = (event, i) => {
    const moves = { ArrowUp: 1, ArrowDown: -1, PageUp: 5, PageDown: -5 };
    const aside = { ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: points.x.length - 1 };
    if (event.key in moves) {
      const next = clamp(points.y[i] + (moves[event.key] * (range[1] - range[0])) / STEPS, range);
      onChange(points.y.map((y, j) => (j === i ? next : y)));
    } else if (event.key in aside) {
      svg.current.querySelectorAll("[role=slider]")[aside[event.key]]?.focus();
    } else return;
    event.preventDefault();
  };

  const handle = (x, i) => html`<g class="sketch-point" key=${i} role="slider" tabindex="0"
      aria-label=${`your curve at x = ${shown(x)}`} aria-valuemin=${range[0]} aria-valuemax=${range[1]}
      aria-valuenow=${round(points.y[i])} aria-orientation="vertical" onKeyDown=${(event) => press(event, i)}>
    <circle class="reach" cx=${scale.x(x)} cy=${scale.y(points.y[i])} r="20" />
    <circle class="dot" cx=${scale.x(x)} cy=${scale.y(points.y[i])} r="5.5" />
  </g>`;

  return html`<svg class=${`sketch ${onChange ? "open" : ""}`} ref=${svg} viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="group" aria-label=${label}
      onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${up}>
    <${Frame} scale=${scale} range=${range} />
    ${curves.map((curve) => html`<${Curve} curve=${curve} scale=${scale} key=${curve.name} />`)}
    <path class="sketch-line" d=${path(points, scale)} />
    ${onChange && points.x.map(handle)}
  </svg>`;
}

function Frame({ scale, range }) {
  const ticks = [range[0], (range[0] + range[1]) / 2, range[1]];
  return html`<g class="sketch-frame" aria-hidden="true">
    ${ticks.map((y) => html`<path d=${`M${LEFT} ${scale.y(y)}H${WIDTH - RIGHT}`} /><text x=${LEFT - 8} y=${scale.y(y) + 5} text-anchor="end">${shown(y)}</text>`)}
    ${[scale.low, (scale.low + scale.high) / 2, scale.high].map((x, i) => html`<text x=${scale.x(x)} y=${HEIGHT - 8} text-anchor=${["start", "middle", "end"][i]}>${shown(round(x))}</text>`)}
  </g>`;
}

function Curve({ curve, scale }) {
  if (curve.mark === "points")
    return html`<g class="sketch-curve" data-role=${curve.role}>${curve.x.map((x, i) => html`<circle cx=${scale.x(x)} cy=${scale.y(curve.y[i])} r="4" />`)}</g>`;
  return html`<path class="sketch-curve" data-role=${curve.role} data-mark=${curve.mark} d=${path(curve, scale)} />`;
}

function scales(low, high, bottom, top) {
  const [across, along] = [(WIDTH - LEFT - RIGHT) / (high - low), (HEIGHT - TOP - BOTTOM) / (top - bottom)];
  return {
    low,
    high,
    x: (x) => LEFT + (x - low) * across,
    y: (y) => HEIGHT - BOTTOM - (clamp(y, [bottom, top]) - bottom) * along,
    inputOf: (px) => low + (px - LEFT) / across,
    outputOf: (py) => bottom + (HEIGHT - BOTTOM - py) / along,
  };
}

const path = ({ x, y }, scale) => x.map((one, i) => `${i ? "L" : "M"}${scale.x(one).toFixed(1)} ${scale.y(y[i]).toFixed(1)}`).join("");
const clamp = (value, [low, high]) => Math.min(Math.max(value, low), high);
const round = (value) => Number(value.toFixed(3));

// The points that the pointer passed take the height at which it passed them; a tap moves the nearest one.
function along({ x, y }, from, to) {
  const reach = (x[1] - x[0]) / 2;
  return x.map((here, i) => {
    const [left, right] = from.x <= to.x ? [from, to] : [to, from];
    if (here < left.x - reach || here > right.x + reach) return y[i];
    const share = right.x - left.x < 1e-9 ? 1 : clamp((here - left.x) / (right.x - left.x), [0, 1]);
    return left.y + share * (right.y - left.y);
  });
}
