/**
 * Leaving out points that no one could see: of all points in one column of half a pixel only the first, the last, the lowest and
 * the highest stay, which is what a line through all of them covers (M4: Jugel et al., "M4: A Visualization-Oriented
 * Time Series Data Aggregation", VLDB 2014).
 */

/** Width of a column, in pixels. */
const COLUMN = 0.5;

/** The points that are worth drawing, in their order. Points are in pixels; those that are not finite are gaps and stay. */
export function thinned<P extends { x: number; y: number }>(points: readonly P[]): readonly P[] {
  if (points.length < 1000) return points;
  const kept: P[] = [];
  let column: P[] = [];
  let number = NaN;
  const close = () => {
    if (column.length > 4) {
      let [low, high] = [0, 0];
      column.forEach(({ y }, i) => {
        if (y < column[low]!.y) low = i;
        if (y > column[high]!.y) high = i;
      });
      const stay = [...new Set([0, low, high, column.length - 1])].sort((a, b) => a - b);
      column = stay.map((i) => column[i]!);
    }
    kept.push(...column);
    column = [];
  };
  for (const point of points) {
    const isGap = !Number.isFinite(point.x) || !Number.isFinite(point.y);
    const now = isGap ? NaN : Math.floor(point.x / COLUMN);
    if (now !== number) close(); // NaN differs from itself, so a gap is a column of its own
    number = now;
    column.push(point);
  }
  close();
  return kept;
}
