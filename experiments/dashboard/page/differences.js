/** What differs between configurations. Pure, without the page. */
// @ts-check

/** Keys that say where a run is kept and not what it does. */
const PLACES = new Set(["tracking.runs_dir", "tracking.name"]);

/**
 * The keys in which some of the configurations differ, sorted; one that lacks a key differs from one that has it.
 *
 * @param {Record<string, unknown>[]} configs under dotted keys
 * @returns {string[]}
 */
export function differingKeys(configs) {
  const keys = [...new Set(configs.flatMap((config) => Object.keys(config)))].sort();
  return keys.filter((key) =>
    !PLACES.has(key) && new Set(configs.map((config) => JSON.stringify(config[key]))).size > 1
  );
}

/**
 * An axis of parallel coordinates: where each value stands, from 0 at the bottom to 1 at the top. Numbers stand by size,
 * on a logarithmic scale where they span more than twentyfold; anything else by name at even distances.
 *
 * @param {unknown[]} values null and undefined have no place
 * @returns {{at: (value: unknown) => number | undefined, ticks: [place: number, value: unknown][], isLog: boolean}}
 */
export function axisOf(values) {
  const known = values.filter((value) => value !== null && value !== undefined);
  const numbers = known.filter((value) => typeof value === "number");
  if (numbers.length === known.length && numbers.length > 0) return numberAxis(numbers);
  const names = [...new Set(known.map((value) => JSON.stringify(value)))].sort();
  const place = (/** @type {string} */ name) =>
    names.length === 1 ? 0.5 : names.indexOf(name) / (names.length - 1);
  return {
    at: (value) => names.includes(JSON.stringify(value)) ? place(JSON.stringify(value)) : undefined,
    ticks: names.map((name) => [place(name), JSON.parse(name)]),
    isLog: false,
  };
}

/** @param {number[]} numbers */
function numberAxis(numbers) {
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const isLog = low > 0 && high / low > 20;
  const scale = (/** @type {number} */ value) => isLog ? Math.log(value) : value;
  const place = (/** @type {number} */ value) =>
    high === low ? 0.5 : (scale(value) - scale(low)) / (scale(high) - scale(low));
  const distinct = [...new Set(numbers)].sort((a, b) => a - b);
  const shown = distinct.length <= 6
    ? distinct
    : [low, isLog ? Math.sqrt(low * high) : (low + high) / 2, high];
  return {
    at: (/** @type {unknown} */ value) => typeof value === "number" ? place(value) : undefined,
    ticks: shown.map((value) => /** @type {[number, unknown]} */ ([place(value), value])),
    isLog,
  };
}
