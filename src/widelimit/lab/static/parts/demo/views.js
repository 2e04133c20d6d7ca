// The views of a live run as panels, made from its opening, its newest frame and what is remembered.

import { number } from "lab/core/format.js";
import { WORDS } from "lab/parts/demo/words.js";

const LEAST = 1e-6;
// A band narrower than this share of the axis is a line; it is then not called a band.
const VISIBLE = 0.01;
// A curve of which less than this share lies in the picture has left it.
const SEEN = 0.2;

/** Panels of a view by its key. */
export const VIEWS = { function: functions, kernel, spectrum, trajectory };

const lineOf = (name, role, x, y, more = {}) => ({ name, role, x, y, low: [], high: [], mark: "line", ...more });

function functions(opening, frame, config) {
  const { grid, x, y, target } = opening.arrays;
  const limit = opening.numbers.has_kernel_limit !== 0;
  const { finite, linear, infinite, mean, std } = frame.arrays;
  const low = mean.data.map((value, at) => value - 2 * std.data[at]);
  const high = mean.data.map((value, at) => value + 2 * std.data[at]);
  const [from, to] = ends(opening);
  const wide = std.data.some((value) => 2 * value > VISIBLE * (to - from));
  // A band that covers the whole picture says nothing in it.
  const everywhere = low.every((value) => value < from) && high.every((value) => value > to);
  const band = everywhere ? {} : { low, high };
  const away = [mean, infinite, linear, finite].some(({ data }) => share(data, from, to) < SEEN);
  const series = [
    lineOf(wide && !everywhere ? WORDS.mean : WORDS.meanAlone, "infinite", grid.data, mean.data, { ...band, mark: "dashed", thin: true }),
    ...(target ? [lineOf(WORDS.target, "target", grid.data, target.data)] : []),
    lineOf(limit ? WORDS.infinite : WORDS.reference, "infinite", grid.data, infinite.data, limit ? {} : { mark: "dashed" }),
    lineOf(WORDS.linear, "linear", grid.data, linear.data),
    lineOf(WORDS.finite(config.width), "finite", grid.data, finite.data),
    lineOf(WORDS.data, "data", x.data, y.data, { mark: "points" }),
  ];
  const words = [WORDS.functionText, ...(wide ? [] : [WORDS.narrowBand]), ...(away || everywhere ? [WORDS.runaway] : []), ...(limit ? [] : [WORDS.noLimitText])];
  return [
    {
      kind: "curves",
      title: "Three predictions of one training run",
      text: words.join(" "),
      x: { label: "x", scale: "linear" },
      y: { label: "f(x)", scale: "linear", low: from, high: to },
      series,
    },
  ];
}

const share = (values, low, high) => values.filter((value) => value >= low && value <= high).length / values.length;

// The ends stay for a whole run, so that motion is motion of the curves.
function ends(opening) {
  const { y, target, finite } = opening.arrays;
  let [low, high] = [Infinity, -Infinity];
  for (const values of [y.data, target?.data ?? [], finite.data])
    for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const room = 0.32 * (high - low) || 1;
  return [low - room, high + room];
}

function kernel(opening, frame) {
  const labels = Array.from(opening.arrays.x.data, (value) => value.toFixed(2).replace("-", "−"));
  const limit = opening.numbers.has_kernel_limit !== 0;
  const matrices = [
    { name: "Θ₀, at the start", role: "linear", values: rows(opening.arrays.ntk_start) },
    { name: "Θₜ, now", role: "finite", values: rows(frame.arrays.ntk) },
    { name: limit ? "Θ∞, infinite width" : "Θ∞ of the NTK scaling", role: "infinite", values: rows(opening.arrays.ntk_infinite) },
  ];
  return [{ kind: "matrices", title: "Tangent kernels between the training points", text: WORDS.kernelText, labels, matrices }];
}

function rows({ shape, data }) {
  return Array.from({ length: shape[0] }, (_row, at) => data.subarray(at * shape[1], (at + 1) * shape[1]));
}

function spectrum(opening, frame, _config, history) {
  const limit = opening.numbers.has_kernel_limit !== 0;
  const start = opening.arrays.spectrum_start.data;
  const index = Array.from(start, (_value, at) => at + 1);
  const largest = Math.max(start[0], frame.arrays.spectrum.data[0], opening.arrays.spectrum_infinite.data[0]);
  const cut = (values) => Array.from(values, (value) => (value > largest * LEAST ? value : null));
  const eigenvalues = {
    kind: "curves",
    title: "Eigenvalues of the kernel",
    text: WORDS.spectrumText,
    x: { label: "number of the eigenvalue", scale: "linear" },
    y: { label: "eigenvalue", scale: "log" },
    series: [
      lineOf(limit ? WORDS.infinite : WORDS.reference, "infinite", index, cut(opening.arrays.spectrum_infinite.data), limit ? {} : { mark: "dashed" }),
      lineOf("at the start", "linear", index, cut(start)),
      lineOf("now", "finite", index, cut(frame.arrays.spectrum.data)),
    ],
  };
  return [eigenvalues, modes(history, start.length)];
}

function modes(history, count) {
  const time = history.steps.map((step) => step + 1);
  const chosen = [0, 1, 3, 7].filter((at) => at < count);
  const first = Math.max(LEAST, ...chosen.map((at) => history.modes.finite[0]?.[at] ?? 0));
  const track = (name, at) => history.modes[name].map((values) => Math.max(values[at], first * 1e-5));
  const series = chosen.flatMap((at) => [
    lineOf(`mode ${at + 1}, infinite`, "infinite", time, track("infinite", at), { mark: "dashed", thin: true, label: "" }),
    lineOf(`mode ${at + 1}, linearised`, "linear", time, track("linear", at), { mark: "dashed", label: "" }),
    // Named where it begins: in the end many modes lie below what is drawn.
    lineOf(`mode ${at + 1}, finite`, "finite", time, track("finite", at), { label: `mode ${at + 1}`, label_at: 0, thin: history.steps.length > 60 }),
  ]);
  return {
    kind: "curves",
    title: "What is left to learn, mode by mode",
    text: WORDS.modesText,
    x: { label: "gradient steps + 1", scale: "log" },
    y: { label: "absolute residual", scale: "log", low: first * 1e-4, high: first * 4 },
    series,
  };
}

function trajectory(opening, _frame, config, history) {
  const { x, y } = opening.arrays;
  const [a, b] = history.pair;
  const limit = opening.numbers.has_kernel_limit !== 0;
  const names = [["infinite", limit ? WORDS.infinite : WORDS.reference], ["linear", WORDS.linear], ["finite", WORDS.finite(config.width)]];
  const style = (role) => ({ thin: true, mark: role === "infinite" && !limit ? "dashed" : "line" });
  const paths = names.map(([role, name]) =>
    lineOf(name, role, history.outputs[role].map((pair) => pair[0]), history.outputs[role].map((pair) => pair[1]), style(role)),
  );
  const now = names.map(([role, name]) => lineOf(`${name}, now`, role, ...at(history.outputs[role].at(-1)), { mark: "points", label: "" }));
  const start = lineOf("start", "neutral", ...at(history.outputs.finite[0]), { mark: "points" });
  const goal = lineOf("targets", "data", [y.data[a]], [y.data[b]], { mark: "points" });
  const [horizontal, vertical] = [0, 1].map((side) => window_(history, side, [y.data[a], y.data[b]][side]));
  return [
    {
      kind: "curves",
      title: `Outputs at x₁ = ${number(x.data[a], 2)} and x₂ = ${number(x.data[b], 2)}`,
      text: WORDS.trajectoryText,
      x: { label: "f(x₁)", scale: "linear", ...horizontal },
      y: { label: "f(x₂)", scale: "linear", ...vertical },
      series: [...paths, start, ...now, goal],
    },
  ];
}

const at = (pair) => (pair ? [[pair[0]], [pair[1]]] : [[], []]);

// The window holds start, target and the path of the finite network; a linearisation that runs away leaves it.
function window_(history, side, goal) {
  const values = [goal, ...history.outputs.finite.map((pair) => pair[side])];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = 0.25 * (high - low) || 1;
  return { low: low - room, high: high + room };
}
