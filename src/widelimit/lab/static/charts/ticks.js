// Ticks of axes: decades (with 2 and 5 where few fit) on a log axis, and short texts for numbers.

/** Positions of ticks between two positive numbers on a logarithmic axis. */
export function logTicks(low, high, most = 8) {
  const first = Math.floor(Math.log10(low) + 1e-9);
  const last = Math.ceil(Math.log10(high) - 1e-9);
  const stride = Math.max(1, Math.ceil((last - first) / most));
  const within = last - first <= 2 ? [1, 2, 5] : [1];
  const found = [];
  for (let power = first; power <= last; power += stride) {
    for (const factor of within) {
      const value = Number(`${factor}e${power}`);
      if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) found.push(value);
    }
  }
  return found;
}

const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

/** A power of ten as text, 10⁻³. */
export const power = (exponent) => `10${[...String(exponent)].map((sign) => RAISED[sign]).join("")}`;

/** A text of the library as print sets it: 1e-06 as 10⁻⁶, a true minus, and a thin space before a per cent sign. */
export const typeset = (text) =>
  text
    .replace(/(?<![\w.])(\d+(?:\.\d+)?)e([+-]?)0*(\d+)(?!\w)/g, (_all, lead, sign, digits) => {
      const raised = power(Number(`${sign}${digits}`));
      return Number(lead) === 1 ? raised : `${lead}·${raised}`;
    })
    .replace(/(^|[\s([=:,±])-(?=\d)/g, "$1−")
    .replace(/(\d)%/g, "$1\u202f%");

/** A number beside a tick. */
export function tickText(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) {
    const exponent = Math.floor(Math.log10(size) + 1e-9);
    const lead = Number((value / 10 ** exponent).toPrecision(2));
    if (lead === 1) return power(exponent);
    return `${String(lead).replace("-", "−")}·${power(exponent)}`;
  }
  return String(Number(value.toPrecision(4))).replace("-", "−");
}
