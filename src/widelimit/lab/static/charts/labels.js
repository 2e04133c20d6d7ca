// Direct labels: the name of every curve stands where it ends, in its colour, apart from its neighbours. Where a picture
// is too narrow for that, the names stand in lines above it; and a curve may have its name on it, at a place of its own.

const SAMPLE = 14;
const GAP = 6;

/** Breaks texts into lines that fit; returns labels with their size, without a place. */
export function measureLabels(context, texts, widest) {
  return texts.map((text) => {
    const lines = wrap(context, text, widest - SAMPLE - GAP);
    const width = Math.max(...lines.map((line) => context.measureText(line).width));
    return { text, lines, width: width + SAMPLE + GAP };
  });
}

function wrap(context, text, widest) {
  const lines = [];
  for (const word of text.split(" ")) {
    const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
    if (lines.length && context.measureText(longer).width <= widest) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/** Moves labels apart: each has a wanted `at` (middle) and a `height`; sets `y`. */
export function separate(labels, top, bottom) {
  const sorted = [...labels].sort((a, b) => a.at - b.at);
  let edge = top;
  for (const label of sorted) {
    label.y = Math.max(label.at, edge + label.height / 2);
    edge = label.y + label.height / 2;
  }
  edge = bottom;
  for (const label of sorted.reverse()) {
    label.y = Math.min(label.y, edge - label.height / 2);
    edge = label.y - label.height / 2;
  }
}

/** Sets `x` and `row` of labels that follow one another in lines of a width; returns the number of lines. */
export function flow(labels, width, space = 14) {
  let [x, row] = [0, 0];
  for (const label of labels) {
    if (x > 0 && x + label.width > width) [x, row] = [0, row + 1];
    Object.assign(label, { x, row });
    x += label.width + space;
  }
  return labels.length ? row + 1 : 0;
}

/** Draws names on their curves: each has a `point`; one that would touch another moves up. */
export function drawInline(context, labels, { left, right, top }, lineHeight, ratio, ground) {
  context.textBaseline = "alphabetic";
  context.lineJoin = "round";
  const placed = [];
  for (const label of [...labels].sort((a, b) => b.point[1] - a.point[1])) {
    const width = context.measureText(label.text).width;
    const x = Math.min(Math.max(label.point[0] + 4 * ratio, left), right - width);
    let y = Math.max(label.point[1] - 6 * ratio, top + lineHeight);
    for (const other of placed) {
      if (x < other.x + other.width && other.x < x + width && Math.abs(y - other.y) < lineHeight) y = other.y - lineHeight;
    }
    placed.push({ x, y, width });
    context.textAlign = "left";
    context.strokeStyle = ground;
    context.lineWidth = 4 * ratio;
    context.strokeText(label.text, x, y);
    context.fillStyle = label.color;
    context.fillText(label.text, x, y);
  }
}

/** Draws placed labels, at `x` or at their own, each after a sample of its mark. */
export function drawLabels(context, labels, left, lineHeight, ratio) {
  context.textAlign = "left";
  context.textBaseline = "middle";
  for (const label of labels) {
    const x = left + (label.x ?? 0) * ratio;
    context.strokeStyle = context.fillStyle = label.color;
    drawSample(context, label.mark, x, label.y - ((label.lines.length - 1) * lineHeight) / 2, ratio);
    label.lines.forEach((line, row) => {
      const y = label.y + (row - (label.lines.length - 1) / 2) * lineHeight;
      context.fillText(line, x + (SAMPLE + GAP) * ratio, y);
    });
  }
}

function drawSample(context, mark, x, y, ratio) {
  context.beginPath();
  if (mark === "points") {
    context.arc(x + (SAMPLE / 2) * ratio, y, 3.5 * ratio, 0, 2 * Math.PI);
    context.fill();
    return;
  }
  context.setLineDash(mark === "dashed" ? [4 * ratio, 3 * ratio] : []);
  context.lineWidth = 2 * ratio;
  context.moveTo(x, y);
  context.lineTo(x + SAMPLE * ratio, y);
  context.stroke();
  context.setLineDash([]);
}
