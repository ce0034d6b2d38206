/** Small statistics of a handful of values. Pure, without the page. */
// @ts-check

/**
 * Mean and standard deviation of a sample (n - 1); null where there are too few values.
 *
 * @param {number[]} values
 * @returns {{mean: number | null, deviation: number | null}}
 */
export function meanAndDeviation(values) {
  const n = values.length;
  if (n === 0) return { mean: null, deviation: null };
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n === 1) return { mean, deviation: null };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (n - 1)) };
}
