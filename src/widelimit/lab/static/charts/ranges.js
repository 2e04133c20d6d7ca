// Ends of axes: those the panel asks for, or the values with a little room around them.

/** Returns [low, high] of an axis ("x" or "y") of a panel of curves. */
export function rangeOf(panel, name) {
  const axis = panel[name];
  const log = axis.scale === "log";
  let low = Infinity;
  let high = -Infinity;
  const see = (values) => {
    for (const value of values ?? []) {
      if (value === null || !Number.isFinite(value) || (log && value <= 0)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  };
  for (const series of panel.series) (name === "x" ? [series.x] : [series.y, series.low, series.high]).forEach(see);
  if (low > high) [low, high] = log ? [0.1, 1] : [0, 1];
  const [from, to] = log ? roomLog(low, high) : room(low, high, name === "x" ? 0 : 0.06);
  return [axis.low ?? from, axis.high ?? to];
}

function room(low, high, share) {
  if (low === high) return [low - 1, high + 1];
  const more = (high - low) * share;
  return [low - more, high + more];
}

function roomLog(low, high) {
  const more = Math.max((high / low) ** 0.04, low === high ? 3 : 1);
  return [low / more, high * more];
}
