/**
 * Looks at the runs of a folder: a table with the best on top, and for runs of one name, which differ in their seed, mean and
 * spread.
 *
 *     deno run --allow-all docs/examples/analyse_runs.ts [folder of runs] [folder for the pictures]
 */

import { join } from "node:path";
import { barChart, lineChart, listRuns, readMetrics, seriesOf, spreadOf, table } from "../../mod.ts";

const [runsDir = "runs", folder = "pictures"] = Deno.args;

const runs = (await listRuns(runsDir)).flatMap((run) => {
  const val_loss = run.metrics.by_name.val_loss?.last ?? null;
  return val_loss === null || run.archived ? [] : [{ ...run, val_loss }];
}).sort((a, b) => a.val_loss - b.val_loss);
if (runs.length === 0) {
  console.error(`no run in ${runsDir} has a val_loss; docs/examples/explore.ipynb makes some`);
  Deno.exit(1);
}

console.log(table(
  runs.slice(0, 20).map(({ id, name, state, metrics, val_loss }) => ({
    id,
    name,
    state,
    steps: metrics.step,
    val_loss,
  })),
));

const byName = [...Map.groupBy(runs, ({ name }) => name)];
const curves = lineChart(
  byName.map(([name, runs]) => spreadOf(name, runs.map((run) => seriesOf(readMetrics(run), "val_loss")))),
  { title: "Loss on the validation split", x: { label: "step" }, y: { label: "nats per token" } },
);
const final = barChart(
  byName.map(([name, runs]) => {
    const losses = runs.map(({ val_loss }) => val_loss);
    const value = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
    return { name, value, low: Math.min(...losses), high: Math.max(...losses), dots: losses };
  }),
  { title: "At the end: mean, and every seed", value: { label: "nats per token" }, kind: "points" },
);
await Deno.mkdir(folder, { recursive: true });
await Deno.writeTextFile(join(folder, "curves.svg"), curves.svg);
await Deno.writeTextFile(join(folder, "final.svg"), final.svg);
console.log(`pictures are in ${folder}`);
