/** Numbers, times and sizes as people read them. What is missing is a dash. */
// @ts-check

const MISSING = "–";

/**
 * A measured value: four digits, without a tail of zeros; very large and very small ones with an exponent.
 *
 * @param {unknown} value
 */
export function number(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) {
    return value === null ? MISSING : String(value ?? MISSING);
  }
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return String(value);
  if (size >= 1e6 || (size > 0 && size < 1e-3)) {
    return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  }
  return String(Number(value.toPrecision(size >= 1000 ? 5 : 4)));
}

/**
 * A count in thousands: `950`, `1.2k`, `86M`.
 *
 * @param {number | null | undefined} value
 */
export function count(value) {
  return typeof value === "number" ? scaled(value, 1000, ["", "k", "M", "G", "T", "P", "E", "Z"]) : MISSING;
}

/**
 * A size: `512 B`, `1.5 KiB`.
 *
 * @param {number | null | undefined} value
 */
export function bytes(value) {
  if (typeof value !== "number") return MISSING;
  return scaled(value, 1024, [" B", " KiB", " MiB", " GiB", " TiB", " PiB"]);
}

/**
 * @param {number} value
 * @param {number} base
 * @param {string[]} units
 */
function scaled(value, base, units) {
  let rest = Math.abs(value);
  let unit = 0;
  while (rest >= base * 0.9995 && unit < units.length - 1) {
    rest /= base;
    unit++;
  }
  const sign = value < 0 ? "-" : "";
  return `${sign}${Number(rest.toPrecision(3))}${units[unit]}`;
}

/**
 * Seconds as `0.35s`, `42s`, `3m 05s`, `2h 07m`, `3d 04h`.
 *
 * @param {number | null | undefined} seconds
 */
export function duration(seconds) {
  if (typeof seconds !== "number" || !Number.isFinite(seconds)) return MISSING;
  if (seconds < 10) return `${Number(seconds.toFixed(2))}s`;
  const whole = Math.round(seconds);
  const two = (/** @type {number} */ n) => String(Math.floor(n)).padStart(2, "0");
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}h ${two((whole / 60) % 60)}m`;
  return `${Math.floor(whole / 86400)}d ${two((whole / 3600) % 24)}h`;
}

/**
 * A time of day with its date, in the reader's zone.
 *
 * @param {string | null | undefined} iso
 */
export function time(iso) {
  const date = new Date(iso ?? NaN);
  if (Number.isNaN(date.getTime())) return iso ? String(iso) : MISSING;
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/**
 * A value of a configuration, or any other that JSON knows.
 *
 * @param {unknown} value
 */
export function value(value) {
  if (value === null || value === undefined) return MISSING;
  if (typeof value === "number") {
    return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(12)));
  }
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Columns that hold no plain number, by how they are written. @type {Record<string, (value: any) => string>} */
const OF_COLUMN = { created: time, duration, step: number, tokens: count, parameters: count };

/**
 * A cell of the table.
 *
 * @param {string} column
 * @param {import("../api_types.ts").Cell} content
 */
export function cell(column, content) {
  if (content === null) return MISSING;
  const write = Object.hasOwn(OF_COLUMN, column) ? OF_COLUMN[column] : undefined;
  if (write !== undefined) return write(content);
  if (typeof content !== "number") return String(content);
  return number(content);
}
