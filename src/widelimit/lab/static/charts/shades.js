// One colour scale for values: from the ground to ink, and to the colour of theory below zero; and its scale bar.

import { palette } from "lab/charts/palette.js";
import { tickText } from "lab/charts/ticks.js";

/** Ends of all values together; zero is kept where some are negative, so that its colour is the ground. */
export function extent(tables) {
  let low = Infinity;
  let high = -Infinity;
  for (const rows of tables)
    for (const row of rows)
      for (const value of row) {
        if (!Number.isFinite(value)) continue;
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
  if (low > high) return [0, 1];
  return [Math.min(low, 0), Math.max(high, low < 0 ? 0 : low + 1e-12)];
}

/** A function from a value to [red, green, blue]. */
export function shades([low, high]) {
  const colors = palette();
  const [zero, up, down] = [colors.raised, colors.ink, colors.theory].map(channels);
  const size = Math.max(Math.abs(low), Math.abs(high)) || 1;
  return (value) => {
    const share = Math.min(1, Math.abs(value) / size);
    const end = value < 0 ? down : up;
    return zero.map((channel, at) => Math.round(channel + (end[at] - channel) * share));
  };
}

const channels = (color) => color.match(/[\d.]+/g).slice(0, 3).map(Number);

/** Draws the scale bar, with the values of its ends. */
export function drawScaleBar(context, shade, [low, high], { x, y, width, height }, colors) {
  for (let at = 0; at < width; at++) {
    context.fillStyle = `rgb(${shade(low + ((high - low) * at) / (width - 1)).join(" ")})`;
    context.fillRect(x + at, y, 1.5, height);
  }
  context.strokeStyle = colors.edge;
  context.lineWidth = 1;
  context.strokeRect(x, y, width, height);
  context.fillStyle = colors.soft;
  context.font = `400 12px ${colors.font}`;
  context.textBaseline = "top";
  const marks = Math.min(-low, high) > 0.15 * (high - low) ? [low, 0, high] : [low, high];
  for (const value of marks) {
    const place = x + (width * (value - low)) / (high - low);
    context.textAlign = value === low ? "left" : value === high ? "right" : "center";
    context.fillText(tickText(Number(value.toPrecision(3))), place, y + height + 4);
  }
}
