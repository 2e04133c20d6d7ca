// Curves, points and bands over one horizontal axis. uPlot keeps size, scales, axes and grid; series are drawn by role,
// also where x runs back and forth, as in a trajectory.

import uPlot from "uplot";
import { drawInline, drawLabels, flow, measureLabels, separate } from "lab/charts/labels.js";
import { drawBand, drawSeries, endOf, pointAt } from "lab/charts/marks.js";
import { palette, watchPalette } from "lab/charts/palette.js";
import { rangeOf } from "lab/charts/ranges.js";
import { logTicks, tickText, typeset } from "lab/charts/ticks.js";

const TEXT = 12.5;
const LINE = 15;
const ROW = 19;
// Below this width names beside the curves would take a third of the picture.
const NARROW = 480;

/** Mounts a chart; `options` are { height, onPick(x, y) }. Returns { update(panel), destroy() }. */
export function mount(element, panel, options = {}) {
  let chart = null;
  let shown = panel;
  let labels = [];
  let rows = 0;
  const state = { ranges: null };

  const size = () => {
    const width = Math.max(220, Math.floor(element.clientWidth));
    return { width, height: options.height ?? Math.round(Math.min(420, Math.max(240, width * 0.55))) };
  };

  function build() {
    chart?.destroy();
    const { width, height } = size();
    const above = width < NARROW;
    labels = texts(shown, above ? width : Math.min(190, Math.max(84, width * 0.27)));
    rows = above ? flow(labels, width - 4) : 0;
    const right = above ? 16 : Math.max(10, ...labels.map((label) => label.width + 12));
    const room = { width, height: height + rows * ROW, top: 22 + rows * ROW, right };
    chart = new uPlot(settings(shown, room, state, draw), dummy(state), element);
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
    if (rows) drawAbove(context, ratio, colors);
    else drawEnds(context, bbox, ratio, colors, place);
    drawOn(context, bbox, ratio, colors, place);
    context.font = `400 ${TEXT * ratio}px ${colors.font}`;
    context.fillStyle = colors.soft;
    context.textAlign = "left";
    context.textBaseline = "alphabetic";
    context.fillText(typeset(shown.y.label), 2 * ratio, (13 + rows * ROW) * ratio);
    context.restore();
  }

  const dress = (label, colors) => {
    const series = shown.series.find((one) => one.name === label.name);
    return series && { ...label, series, color: colors[series.role], mark: series.mark ?? "line" };
  };

  function drawAbove(context, ratio, colors) {
    const placed = labels.map((label) => dress(label, colors)).filter(Boolean);
    for (const label of placed) label.y = (label.row * ROW + 9) * ratio;
    drawLabels(context, placed, 2 * ratio, LINE * ratio, ratio);
  }

  // Names that have a place on their curve.
  function drawOn(context, bbox, ratio, colors, place) {
    const named = shown.series.filter((series) => series.label_at != null && labelOf(series) !== "");
    const placed = named.map((series) => ({ text: labelOf(series), color: colors[series.role], point: pointAt(series, series.label_at, place) }));
    const box = { left: bbox.left, right: bbox.left + bbox.width, top: bbox.top };
    drawInline(context, placed.filter((label) => label.point), box, LINE * ratio, ratio, colors.ground);
  }

  function drawEnds(context, bbox, ratio, colors, place) {
    const placed = [];
    for (const label of labels) {
      const dressed = dress(label, colors);
      const end = dressed && endOf(dressed.series, place);
      if (!end) continue;
      const at = Math.min(Math.max(end[1], bbox.top), bbox.top + bbox.height);
      placed.push({ ...dressed, at, height: label.lines.length * LINE * ratio });
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
  JSON.stringify([panel.series.map((s) => [labelOf(s), s.role, s.mark, s.label_at ?? null]), panel.x.label, panel.x.scale, panel.y.label, panel.y.scale]);

const labelOf = (series) => typeset(series.label ?? series.name);

// Names that stand beside or above the picture.
function texts(panel, widest) {
  const named = panel.series.filter((series) => labelOf(series) !== "" && series.label_at == null);
  const context = document.createElement("canvas").getContext("2d");
  context.font = `500 ${TEXT}px ${palette().font}`;
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

function settings(panel, { width, height, top, right }, state, draw) {
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
    width,
    height,
    padding: [top, right, 0, 4],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: scale("x"), y: scale("y") },
    axes: [
      axis("x", { label: typeset(panel.x.label), labelFont: `400 ${TEXT}px ${colors.font}`, labelSize: 20, size: 26, gap: 6 }),
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
