/**
 * Trains a model, shows what it writes on the way, and lets the trained model go on from a few prompts. Copy and change:
 *
 *     deno run --allow-all scripts/train_with_samples.ts
 *     deno run --allow-all scripts/train_with_samples.ts configs/models/baby_char.yaml 2000
 */

import { prepare, TextModel, train } from "../mod.ts";

const [model = "configs/models/chatgot_tiny_char.yaml", steps = "500"] = Deno.args;
const PROMPTS = ["Call me ", "The sea ", "And "];
const TEMPERATURES = [0.5, 0.8, 1.1];

// Any text will do: the name of a corpus, a file, a folder, a glob.
const data = await prepare("moby-dick", { tokenizer: "char" });
console.log(`${data.train.length} tokens to train on, ${data.tokenizer.vocab_size} different ones`);

const run = await train({
  model,
  data,
  training: { max_steps: Number(steps), sample_interval: Math.ceil(Number(steps) / 5) },
  onSample: ({ step, prompt, text }) => console.log(`--- step ${step} ---\n${prompt}${text}`),
});
console.log(`validation loss ${run.val_loss?.toFixed(4)} nats per token after ${run.steps} steps`);

using writer = await TextModel.open(run.model);
// The same prompt at several temperatures: the higher, the bolder.
for (const prompt of PROMPTS) {
  for (const temperature of TEMPERATURES) {
    let text = prompt;
    for await (const piece of writer.generate({ prompt, temperature, max_new_tokens: 80 })) text += piece;
    console.log(`--- temperature ${temperature} ---\n${text}`);
  }
}
console.log(`run ${run.dir}`);
