/** The heads of a layer side by side, each as the heatmap of what its tokens attend to. */

import type { Attention } from "../../pipeline/mod.ts";
import { type Chart, type ChartOptions, sideBySide } from "./chart.ts";
import { heatmap, tokenLabels } from "./heatmap.ts";

/**
 * Draws what `attention` of a session or model returns: a map for each head, in which a row is a token and a column one
 * that it attends to.
 *
 * @param options width: of one map, 300 when left out; columns: maps in a row, at most 4 when left out
 */
export function attentionChart(
  { layer, tokens, heads }: Attention,
  { width = 300, columns = 4, title = `Attention of layer ${layer}`, ...options }: ChartOptions & {
    columns?: number;
  } = {},
): Chart {
  const labels = tokenLabels(tokens);
  const maps = heads.map((rows, head) => {
    // What stands before a token is all that it can see; the rest is no weight of 0 but none.
    const seen = rows.map((row, query) => row.subarray(0, query + 1));
    return heatmap(seen, { title: `head ${head}`, width, rows: labels, columns: labels, domain: [0, 1] });
  });
  return sideBySide(maps, { title, columns, ...options });
}
