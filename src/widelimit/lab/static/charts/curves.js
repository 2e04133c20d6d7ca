// Curves, points and bands over one horizontal axis. uPlot keeps size, scales, axes and grid; series are drawn by role,
// also where x runs back and forth, as in a trajectory.

import uPlot from "uplot";
import { drawLabels, measureLabels, separate } from "lab/charts/labels.js";
import { drawBand, drawSeries, endOf } from "lab/charts/marks.js";
import { palette, watchPalette } from "lab/charts/palette.js";
import { rangeOf } from "lab/charts/ranges.js";
import { logTicks, tickText } from "lab/charts/ticks.js";

const TEXT = 12.5;
const LINE = 15;

/** Mounts a chart; `options` are { height, onPick(x, y) }. Returns { update(panel), destroy() }. */
export function mount(element, panel, options = {}) {
  let chart = null;
  let shown = panel;
  let labels = [];
  const state = { ranges: null };

  const size = () => {
    const width = Math.max(220, Math.floor(element.clientWidth));
    return { width, height: options.height ?? Math.round(Math.min(420, Math.max(240, width * 0.55))) };
  };

  function build() {
    chart?.destroy();
    labels = texts(shown, size().width);
    const right = Math.max(10, ...labels.map((label) => label.width + 12));
    chart = new uPlot(settings(shown, size(), right, state, draw), dummy(state), element);
    if (options.onPick) listen(chart, options.onPick);
  }

  function draw(plot) {
    const { ctx: context, bbox } = plot;
    const ratio = bbox.width / plot.over.clientWidth || devicePixelRatio;
    const colors = palette();
    const place = placer(plot);
    context.save();
    context.beginPath();
    const edge = 6 * ratio;
    context.rect(bbox.left - edge, bbox.top - edge, bbox.width + 2 * edge, bbox.height + 2 * edge);
    context.clip();
    for (const series of shown.series) drawBand(context, series, colors[series.role], place);
    for (const series of shown.series) drawSeries(context, series, colors[series.role], place, ratio, colors.ground);
    context.restore();
    context.save();
    context.font = `500 ${TEXT * ratio}px ${colors.font}`;
    drawEnds(context, bbox, ratio, colors, place);
    context.font = `400 ${TEXT * ratio}px ${colors.font}`;
    context.fillStyle = colors.soft;
    context.textAlign = "left";
    context.textBaseline = "alphabetic";
    context.fillText(shown.y.label, 2 * ratio, 13 * ratio);
    context.restore();
  }

  function drawEnds(context, bbox, ratio, colors, place) {
    const placed = [];
    for (const label of labels) {
      const series = shown.series.find((one) => one.name === label.name);
      const end = series && endOf(series, place);
      if (!end) continue;
      const at = Math.min(Math.max(end[1], bbox.top), bbox.top + bbox.height);
      placed.push({ ...label, at, height: label.lines.length * LINE * ratio, color: colors[series.role], mark: series.mark ?? "line" });
    }
    separate(placed, bbox.top - 6 * ratio, bbox.top + bbox.height + 8 * ratio);
    drawLabels(context, placed, bbox.left + bbox.width + 8 * ratio, LINE * ratio, ratio);
  }

  const fit = () => {
    state.ranges = { x: rangeOf(shown, "x"), y: rangeOf(shown, "y") };
  };
  fit();
  build();
  const observer = new ResizeObserver(() => chart.width !== size().width && build());
  observer.observe(element);
  const unwatch = watchPalette(build);

  return {
    update(next) {
      const before = key(shown);
      shown = next;
      fit();
      if (key(next) === before) chart.setData(dummy(state));
      else build();
    },
    destroy() {
      observer.disconnect();
      unwatch();
      chart.destroy();
    },
  };
}

// What a chart has to be built anew for: names, marks and axes. All else is drawn again.
const key = (panel) =>
  JSON.stringify([panel.series.map((s) => [labelOf(s), s.role, s.mark]), panel.x.label, panel.x.scale, panel.y.label, panel.y.scale]);

const labelOf = (series) => series.label ?? series.name;

function texts(panel, width) {
  const named = panel.series.filter((series) => labelOf(series) !== "");
  const context = document.createElement("canvas").getContext("2d");
  context.font = `500 ${TEXT}px ${palette().font}`;
  const widest = Math.min(190, Math.max(84, width * 0.27));
  return measureLabels(context, named.map(labelOf), widest).map((label, at) => ({ ...label, name: named[at].name }));
}

// uPlot only has to know the ends of both axes.
const dummy = ({ ranges }) => [ranges.x, ranges.y];

function placer(plot) {
  const logX = plot.scales.x.distr === 3;
  const logY = plot.scales.y.distr === 3;
  return (x, y) => {
    if (x === null || y === null || !Number.isFinite(x) || !Number.isFinite(y)) return null;
    if ((logX && x <= 0) || (logY && y <= 0)) return null;
    return [plot.valToPos(x, "x", true), plot.valToPos(y, "y", true)];
  };
}

function settings(panel, size, right, state, draw) {
  const colors = palette();
  const scale = (name) => ({
    time: false,
    distr: panel[name].scale === "log" ? 3 : 1,
    range: () => [...state.ranges[name]],
  });
  const axis = (name, more) => ({
    stroke: colors.soft,
    font: `400 ${TEXT}px ${colors.font}`,
    grid: { stroke: colors.rule, width: 1 },
    ticks: { show: false },
    values: (_plot, splits) => splits.map((value) => (value === null ? "" : tickText(value))),
    ...(panel[name].scale === "log" ? { splits: (_plot, _axis, low, high) => logTicks(low, high), filter: (_plot, splits) => splits } : {}),
    ...more,
  });
  return {
    ...size,
    padding: [22, right, 0, 4],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: scale("x"), y: scale("y") },
    axes: [
      axis("x", { label: panel.x.label, labelFont: `400 ${TEXT}px ${colors.font}`, labelSize: 20, size: 26, gap: 6 }),
      axis("y", { size: widthOfTicks, gap: 6 }),
    ],
    series: [{}, { show: true, stroke: "transparent", points: { show: false }, paths: () => null }],
    hooks: { draw: [draw] },
  };
}

function widthOfTicks(plot, values) {
  const longest = Math.max(0, ...(values ?? []).map((text) => [...text].length));
  return 14 + longest * TEXT * 0.56;
}

function listen(plot, onPick) {
  plot.over.addEventListener("click", (event) => {
    const box = plot.over.getBoundingClientRect();
    onPick(plot.posToVal(event.clientX - box.left, "x"), plot.posToVal(event.clientY - box.top, "y"));
  });
}
