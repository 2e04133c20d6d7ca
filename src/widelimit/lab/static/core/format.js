// Numbers as people read them: few digits, a true minus, powers of ten, a dash where there is none.

import { power } from "lab/charts/ticks.js";

/** A number with `digits` significant digits. */
export function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) {
    const [lead, exponent] = value.toExponential(digits - 1).split("e");
    return `${lead.replace("-", "−")}·${power(Number(exponent))}`;
  }
  if (Number.isInteger(value)) return whole(value);
  return Number(value.toPrecision(digits)).toString().replace("-", "−");
}

/** A whole number with thin spaces between thousands. */
export const whole = (value) =>
  String(Math.round(value)).replace("-", "−").replace(/\B(?=(\d{3})+$)/g, "\u2009");

/** A share as a percentage; what is rounding error is said to be less than a millionth. */
export function percent(share) {
  if (share === null || share === undefined) return "–";
  if (share !== 0 && Math.abs(share) < 1e-6) return "< 0.0001\u202f%";
  return `${number(100 * share)}\u202f%`;
}

/** A number of a data table, with enough digits to be compared. */
export const exact = (value) => (value === null || value === undefined ? "–" : String(Number(value.toPrecision(6))));
