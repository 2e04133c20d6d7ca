// A canvas that fills its element, is crisp on every screen and is drawn again when size or colours change.

import { palette, watchPalette } from "lab/charts/palette.js";

/** `draw(context, width, colors)` draws in CSS pixels; `tall(width)` says how high. Returns { redraw, destroy }. */
export function canvas(element, tall, draw) {
  const node = document.createElement("canvas");
  node.style.display = "block";
  element.append(node);
  const redraw = () => {
    const width = Math.max(200, Math.floor(element.clientWidth));
    const height = Math.ceil(tall(width));
    const ratio = devicePixelRatio || 1;
    if (node.width !== Math.round(width * ratio) || node.height !== Math.round(height * ratio)) {
      node.width = Math.round(width * ratio);
      node.height = Math.round(height * ratio);
      node.style.width = `${width}px`;
      node.style.height = `${height}px`;
    }
    const context = node.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    draw(context, width, palette());
  };
  let last = 0;
  const observer = new ResizeObserver(() => element.clientWidth !== last && ((last = element.clientWidth), redraw()));
  observer.observe(element);
  const unwatch = watchPalette(redraw);
  redraw();
  return {
    redraw,
    destroy() {
      observer.disconnect();
      unwatch();
      node.remove();
    },
  };
}

/** A picture with one pixel per value, to be drawn large without smoothing. */
export function pixels(rows, shade, flip = false) {
  const node = document.createElement("canvas");
  node.width = rows[0].length;
  node.height = rows.length;
  const image = new ImageData(node.width, node.height);
  rows.forEach((row, j) => {
    const line = flip ? rows.length - 1 - j : j;
    for (let i = 0; i < row.length; i++) image.data.set([...shade(row[i]), 255], 4 * (line * node.width + i));
  });
  node.getContext("2d").putImageData(image, 0, 0);
  return node;
}
