// Values over two inputs as a heat map, with labelled points on it and a scale bar.

import { canvas, pixels } from "lab/charts/canvas.js";
import { drawScaleBar, extent, shades } from "lab/charts/shades.js";
import { tickText } from "lab/charts/ticks.js";

const EDGE = { left: 44, top: 8, bottom: 40 };
const BAR = 72;
const SHAPES = ["circle", "triangle", "square", "diamond"];

/** Mounts the chart; returns { update(panel), destroy() }. */
export function mount(element, panel) {
  let shown = panel;

  const box = (width) => {
    const across = Math.min(480, width - EDGE.left - 8);
    const spanX = shown.x.at(-1) - shown.x[0];
    const spanY = shown.y.at(-1) - shown.y[0];
    return { x: EDGE.left, y: EDGE.top, width: across, height: Math.min(across, Math.max(140, (across * spanY) / spanX)) };
  };
  const tall = (width) => EDGE.top + box(width).height + EDGE.bottom + BAR;

  function draw(context, width, colors) {
    const area = box(width);
    const ends = extent([shown.values]);
    const shade = shades(ends);
    context.imageSmoothingEnabled = true;
    context.drawImage(pixels(shown.values, shade, true), area.x, area.y, area.width, area.height);
    context.strokeStyle = colors.edge;
    context.strokeRect(area.x + 0.5, area.y + 0.5, area.width - 1, area.height - 1);
    drawAxes(context, area, colors);
    const kinds = [...new Set(shown.points.map((point) => point.label))];
    for (const point of shown.points) drawPoint(context, area, point, kinds.indexOf(point.label), colors);
    const bar = { x: EDGE.left + 0.5, y: area.y + area.height + EDGE.bottom + 18, width: Math.min(260, area.width), height: 10 };
    context.fillStyle = colors.soft;
    context.font = `400 12px ${colors.font}`;
    context.textAlign = "left";
    context.textBaseline = "alphabetic";
    context.fillText(shown.value, bar.x, bar.y - 6);
    drawScaleBar(context, shade, ends, bar, colors);
    drawKey(context, kinds, bar, colors);
  }

  function drawAxes(context, area, colors) {
    context.fillStyle = colors.soft;
    context.font = `400 12px ${colors.font}`;
    context.textBaseline = "top";
    const [left, right] = [shown.x[0], shown.x.at(-1)];
    const [bottom, top] = [shown.y[0], shown.y.at(-1)];
    const base = area.y + area.height + 6;
    context.textAlign = "left";
    context.fillText(tickText(left), area.x, base);
    context.textAlign = "center";
    context.fillText(shown.x_axis.label, area.x + area.width / 2, base);
    context.textAlign = "right";
    context.fillText(tickText(right), area.x + area.width, base);
    context.fillText(tickText(top), area.x - 6, area.y);
    context.fillText(shown.y_axis.label, area.x - 6, area.y + area.height / 2 - 6);
    context.textBaseline = "bottom";
    context.fillText(tickText(bottom), area.x - 6, area.y + area.height);
  }

  function drawPoint(context, area, point, kind, colors) {
    const x = area.x + (area.width * (point.x - shown.x[0])) / (shown.x.at(-1) - shown.x[0]);
    const y = area.y + area.height - (area.height * (point.y - shown.y[0])) / (shown.y.at(-1) - shown.y[0]);
    drawShape(context, SHAPES[kind % SHAPES.length], x, y, ...inks(kind, colors));
  }

  function drawKey(context, kinds, bar, colors) {
    let x = bar.x;
    const y = bar.y + 40;
    context.textAlign = "left";
    context.textBaseline = "middle";
    kinds.slice(0, 4).forEach((label, kind) => {
      drawShape(context, SHAPES[kind], x + 5, y, ...inks(kind, colors));
      context.fillStyle = colors.soft;
      context.fillText(label, x + 16, y);
      x += context.measureText(label).width + 36;
    });
  }

  const drawing = canvas(element, tall, draw);
  return {
    update(next) {
      shown = next;
      drawing.redraw();
    },
    destroy: drawing.destroy,
  };
}

// Colours mean models; classes differ in shape, and in what is light and dark, on any shade.
const inks = (kind, colors) => (kind % 2 ? [colors.ink, colors.raised] : [colors.raised, colors.ink]);

function drawShape(context, shape, x, y, fill, ring) {
  const corners = { triangle: 3, square: 4, diamond: 4 }[shape];
  context.beginPath();
  if (!corners) context.arc(x, y, 4, 0, 2 * Math.PI);
  for (let at = 0; at < (corners ?? 0); at++) {
    const angle = -Math.PI / 2 + (2 * Math.PI * (at + (shape === "square" ? 0.5 : 0))) / corners;
    context.lineTo(x + 5 * Math.cos(angle), y + 5 * Math.sin(angle));
  }
  context.closePath();
  context.fillStyle = fill;
  context.strokeStyle = ring;
  context.lineWidth = 1.5;
  context.fill();
  context.stroke();
}
