// Matrices side by side as pictures on one colour scale, with its scale bar.

import { canvas, pixels } from "lab/charts/canvas.js";
import { drawScaleBar, extent, shades } from "lab/charts/shades.js";
import { typeset } from "lab/charts/ticks.js";

const HEAD = 24;
const FOOT = 22;
const GAP = 16;
const SMALLEST = 92;
const BAR = 44;

/** Mounts the chart; returns { update(panel), destroy() }. */
export function mount(element, panel) {
  let shown = panel;

  const layout = (width) => {
    const count = shown.matrices.length;
    const columns = Math.max(1, Math.min(count, Math.floor((width + GAP) / (SMALLEST + GAP))));
    const side = Math.min(352, Math.floor((width - GAP * (columns - 1)) / columns));
    return { columns, side, rows: Math.ceil(count / columns) };
  };
  const tall = (width) => {
    const { side, rows } = layout(width);
    return rows * (HEAD + side + FOOT) + BAR;
  };

  function draw(context, width, colors) {
    const { columns, side, rows } = layout(width);
    const ends = extent(shown.matrices.map((matrix) => matrix.values));
    const shade = shades(ends);
    shown.matrices.forEach((matrix, at) => {
      const x = (at % columns) * (side + GAP);
      const y = Math.floor(at / columns) * (HEAD + side + FOOT);
      drawMatrix(context, matrix, shade, { x, y: y + HEAD, side }, colors);
    });
    const bar = { x: 0, y: rows * (HEAD + side + FOOT) + 4, width: Math.min(width, 260), height: 10 };
    drawScaleBar(context, shade, ends, { ...bar, x: 0.5, y: bar.y + 0.5 }, colors);
  }

  function drawMatrix(context, matrix, shade, { x, y, side }, colors) {
    context.fillStyle = colors[matrix.role] ?? colors.ink;
    context.font = `500 13px ${colors.font}`;
    context.textAlign = "left";
    context.textBaseline = "alphabetic";
    context.fillText(typeset(matrix.name), x, y - 8, side);
    context.imageSmoothingEnabled = false;
    context.drawImage(pixels(matrix.values, shade), x, y, side, side);
    context.strokeStyle = colors.edge;
    context.lineWidth = 1;
    context.strokeRect(x + 0.5, y + 0.5, side - 1, side - 1);
    if (!shown.labels.length) return;
    context.fillStyle = colors.soft;
    context.font = `400 12px ${colors.font}`;
    context.textBaseline = "top";
    context.fillText(typeset(shown.labels[0]), x, y + side + 4);
    context.textAlign = "right";
    context.fillText(typeset(shown.labels.at(-1)), x + side, y + side + 4);
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
