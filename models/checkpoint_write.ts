/**
 * Writing a checkpoint so that it is whole or not there, also after `kill -9` or a power cut: its files go into a
 * hidden temporary folder beside it, each synced to the disk, which then takes its name in one step.
 */
import { join } from "path";
import { sha256, writeFileSynced, writeFolderAtomic } from "../common/mod.ts";
import { CHECKPOINT_FILES, CHECKPOINT_FORMAT_VERSION, type Moment } from "./checkpoint.ts";
import { checkpointPath } from "./checkpoint_list.ts";
import type { ModelConfig } from "./config.ts";
import { toHuggingFaceConfig } from "./hugging_face_config.ts";
import { type Parameter, parameters } from "./parameters.ts";
import { type TensorData, type TensorToWrite, writeSafetensors } from "./safetensors_write.ts";

/** What goes into a checkpoint. The tensors' float32 values are asked for one by one, as they are written. */
export interface CheckpointContent {
  /** Optimizer steps done. */
  step: number;
  config: ModelConfig;
  /** A parameter's weights. */
  weight: (parameter: Parameter) => TensorData;
  /** One of AdamW's moments of a parameter. */
  moment: (moment: Moment, parameter: Parameter) => TensorData;
  /** The tokenizer: anything that JSON can hold. */
  tokenizer: unknown;
  /** What else is needed to go on: anything that JSON can hold (NaN and Infinity become null). */
  state: Record<string, unknown>;
}

/**
 * Writes `<runDir>/checkpoints/step_<step>/`, replacing one of the same step.
 *
 * @returns the checkpoint's folder.
 * @throws UserError when the disk is full or the folder cannot be written; nothing half-written stays.
 */
export async function writeCheckpoint(runDir: string, content: CheckpointContent): Promise<string> {
  const path = checkpointPath(runDir, content.step);
  await writeFolderAtomic(path, (dir) => writeFiles(dir, content));
  return path;
}

async function writeFiles(dir: string, content: CheckpointContent): Promise<void> {
  const { config, step, state, weight, moment, tokenizer } = content;
  const files = CHECKPOINT_FILES;
  const digests: Record<string, string> = {};
  const texts = { [files.config]: toJson(toHuggingFaceConfig(config)), [files.tokenizer]: toJson(tokenizer) };
  for (const [name, text] of Object.entries(texts)) {
    await writeFileSynced(join(dir, name), text);
    digests[name] = sha256(text);
  }
  const tensors = {
    [files.model]: parameters(config).map((p) => tensor(p.name, p, weight(p))),
    [files.optimizer]: (["exp_avg", "exp_avg_sq"] as const).flatMap((m) =>
      parameters(config).map((p) => tensor(`${m}.${p.name}`, p, moment(m, p)))
    ),
  };
  for (const [name, list] of Object.entries(tensors)) {
    // Without this mark Hugging Face's loader refuses a file.
    digests[name] = await writeSafetensors(join(dir, name), list, { format: "pt" });
  }
  const stateFile = { format_version: CHECKPOINT_FORMAT_VERSION, step, sha256: digests, state };
  await writeFileSynced(join(dir, files.state), toJson(stateFile));
}

const toJson = (value: unknown) => `${JSON.stringify(value, null, 1)}\n`;

function tensor(name: string, { shape }: Parameter, data: TensorData): TensorToWrite {
  return { name, dtype: "F32", shape, data };
}
