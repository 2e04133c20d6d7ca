// Draws series on the canvas of a chart: lines, dashed lines, points and bands. `place(x, y)` gives pixels or null.

const WIDTHS = { finite: 2.5, linear: 2, infinite: 2, target: 1.5, data: 1.5, theory: 2, neutral: 1.5 };

/** The band of a series between `low` and `high`, if it has one. */
export function drawBand(context, series, color, place) {
  if (!series.low?.length) return;
  context.fillStyle = color;
  context.globalAlpha = 0.13;
  let upper = [];
  let lower = [];
  const close = () => {
    if (upper.length > 1) {
      context.beginPath();
      [...upper, ...lower.reverse()].forEach(([x, y], at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.fill();
    }
    upper = [];
    lower = [];
  };
  for (let at = 0; at < series.x.length; at++) {
    const top = place(series.x[at], series.high[at]);
    const bottom = place(series.x[at], series.low[at]);
    if (top && bottom) {
      upper.push(top);
      lower.push(bottom);
    } else close();
  }
  close();
  context.globalAlpha = 1;
}

/** The line or the points of a series. */
export function drawSeries(context, series, color, place, ratio, ring) {
  if (series.mark === "points") return drawPoints(context, series, color, place, ratio, ring);
  context.strokeStyle = color;
  context.lineWidth = (series.thin ? 1.25 : (WIDTHS[series.role] ?? 2)) * ratio;
  context.lineJoin = "round";
  context.setLineDash(series.mark === "dashed" ? [5 * ratio, 4 * ratio] : []);
  context.beginPath();
  let pen = false;
  for (let at = 0; at < series.x.length; at++) {
    const point = place(series.x[at], series.y[at]);
    if (point) pen ? context.lineTo(point[0], point[1]) : context.moveTo(point[0], point[1]);
    pen = Boolean(point);
  }
  context.stroke();
  context.setLineDash([]);
}

function drawPoints(context, series, color, place, ratio, ring) {
  context.fillStyle = color;
  context.strokeStyle = ring;
  context.lineWidth = 1.5 * ratio;
  for (let at = 0; at < series.x.length; at++) {
    const point = place(series.x[at], series.y[at]);
    if (!point) continue;
    context.beginPath();
    context.arc(point[0], point[1], 4.25 * ratio, 0, 2 * Math.PI);
    context.fill();
    context.stroke();
  }
}

/** The point of a series whose x is nearest to `x`, in pixels, or null. */
export function pointAt(series, x, place) {
  let best = null;
  for (let at = 0; at < series.x.length; at++) {
    const point = place(series.x[at], series.y[at]);
    const far = Math.abs(series.x[at] - x);
    if (point && (!best || far < best.far)) best = { far, point };
  }
  return best?.point ?? null;
}

/** The last drawable point of a series in pixels, or null. */
export function endOf(series, place) {
  for (let at = series.x.length - 1; at >= 0; at--) {
    const point = place(series.x[at], series.y[at]);
    if (point) return point;
  }
  return null;
}
