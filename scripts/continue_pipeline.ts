/**
 * Goes on with the latest pipeline of a config, or begins one: prepares the text, searches for settings for a while, trains,
 * evaluates and lets the model write. Stop it whenever you like and start it again. Copy and change:
 *
 *     deno run --allow-all scripts/continue_pipeline.ts
 *     deno run --allow-all scripts/continue_pipeline.ts configs/models/baby_char.yaml 60
 */

import { runPipeline } from "../mod.ts";

const [model = "configs/models/chatgot_tiny_char.yaml", searchSeconds = "0"] = Deno.args;

// Ctrl-C ends the running step and saves the state.
const stop = new AbortController();
Deno.addSignalListener("SIGINT", () => stop.abort());

const run = await runPipeline({
  model,
  resume: "auto",
  ...(Number(searchSeconds) > 0 ? { optimization_time_budget: Number(searchSeconds) } : {}),
  signal: stop.signal,
  onStage: (stage, action, why) => console.log(`${stage}: ${action}, ${why}`),
  onNote: (line) => console.log(`  ${line}`),
  onSample: ({ step, prompt, text }) => console.log(`--- step ${step} ---\n${prompt}${text}`),
});

for (const { stage, status, seconds, outputs } of run.stages) {
  console.log(
    [stage.padEnd(9), status.padEnd(12), `${seconds?.toFixed(1) ?? "-"} s`, outputs[0] ?? ""].join(" "),
  );
}
console.log(`run ${run.dir}`);
if (run.status === "interrupted") console.log("start this script again to go on");
Deno.exit();
