/** Which keys of a configuration the weights depend on. A key that is not known here is taken to be one of them. */

import type { RunConfig } from "../run_config.ts";

/** Keys of the section `training` that change what is written on the way, and no weight; `tune` rounds weights otherwise, no more. */
const REPORTS = ["log_interval", "sample_interval", "checkpoint_interval", "keep_checkpoints", "tune"];

/** Keys that say when to look at validation text, by which training may end early. */
const EVALUATIONS = ["eval_interval", "eval_batches"];

/** Whether the weights depend on a key, `section.key`. */
export function isTrainingKey(key: string, { training }: RunConfig): boolean {
  const [section, name] = key.split(".") as [string, string];
  if (section === "model") return true;
  if (section === "data") return ["sequence_length", "stride", "shuffle"].includes(name); // the tokens are an input
  if (section !== "training" || REPORTS.includes(name)) return false;
  if (EVALUATIONS.includes(name)) return training.early_stopping_patience !== undefined;
  return name !== "decay_steps" || training.lr_schedule === "wsd";
}
