// Numbers as people read them: few digits, a true minus, powers of ten, a dash where there is none.

import { power } from "lab/charts/ticks.js";

export { typeset } from "lab/charts/ticks.js";

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

/** A whole number, from five digits on with thin spaces between thousands. */
export function whole(value) {
  const digits = String(Math.round(value)).replace("-", "−");
  return Math.abs(value) < 9999.5 ? digits : digits.replace(/\B(?=(\d{3})+$)/g, "\u2009");
}

/** A share as a percentage; what is rounding error is said to be less than a millionth. */
export function percent(share) {
  if (share === null || share === undefined) return "–";
  if (share !== 0 && Math.abs(share) < 1e-6) return "< 0.0001\u202f%";
  return `${number(100 * share)}\u202f%`;
}

/** A number with its standard error or tolerance, to the digits that this leaves; without one, with four digits. */
export function within(value, error) {
  if (value === null || value === undefined) return "–";
  if (value === 0 && error) return `0 ± ${number(error, 2)}`;
  if (!error || error >= 1e4 || error < 1e-4) return number(value, 4);
  const digits = Math.max(0, 1 - Math.floor(Math.log10(error)));
  return `${value.toFixed(digits).replace("-", "−")} ± ${error.toFixed(digits)}`;
}

/** A number of a data table, with enough digits to be compared. */
export const exact = (value) => (value === null || value === undefined ? "–" : String(Number(value.toPrecision(6))));
