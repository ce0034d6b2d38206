/**
 * Trains a small model some steps at a time and looks at it in between: losses, a text, attention.
 *
 *     deno run --allow-all docs/examples/train_and_look.ts [folder for the pictures]
 */

import { join } from "node:path";
import { attentionChart, lineChart, openSession, prepare, seriesOf, table } from "../../mod.ts";

const folder = Deno.args[0] ?? "pictures";

// A corpus by name, or the path of a text file or folder of your own.
const data = await prepare("moby-dick", { tokenizer: "char" });

using session = await openSession({
  model: { n_layer: 2, n_head: 2, n_embd: 64, n_positions: 32 },
  data,
  training: { batch_size: 8, learning_rate: 2e-3, warmup_steps: 20, max_steps: 200 },
});
console.log(`${session.preview.parameters} parameters on ${session.preview.kernelChoices.adapter}`);

// What happens in between, and when, is up to you.
const validation = [];
while (session.step < 200) {
  const lines = await session.train(50);
  const loss = await session.evaluate({ batches: 20 });
  validation.push({ step: session.step, train_loss: lines.at(-1)!.train_loss, ...loss });
}
console.log(table(validation));
console.log("Call me " + await session.write("Call me ", { max_new_tokens: 80, top_k: 10 }));

// A chart is SVG; a notebook shows it by itself.
const curves = lineChart([seriesOf(session.metrics, "train_loss"), seriesOf(validation, "val_loss")], {
  title: "Loss of a small model on Moby-Dick",
  x: { label: "step" },
  y: { label: "nats per character" },
});
await Deno.mkdir(folder, { recursive: true });
await Deno.writeTextFile(join(folder, "loss.svg"), curves.svg);
const attention = attentionChart(await session.attention("the white whale"), { columns: 2 });
await Deno.writeTextFile(join(folder, "attention.svg"), attention.svg);

// What is saved goes on later: openSession({ from: … }), `chatgot generate --model-path …`, `--init-from …`.
console.log(`saved to ${await session.save(join(folder, "model"))}, pictures to ${folder}`);
