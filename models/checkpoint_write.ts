/**
 * Writing a checkpoint so that it is whole or not there, also after `kill -9` or a power cut: its files go into a
 * hidden temporary folder beside it, each synced to the disk, which then takes its name in one step.
 */
import { join } from "path";
import { sha256, writeFileSynced, writeFolderAtomic } from "../common/mod.ts";
import type { OptimizerName } from "../gpu/mod.ts";
import { ADAPTER_FILES, type AdapterBase, BASE_DIGEST, peftTensor, toPeftConfig } from "./adapter_files.ts";
import { CHECKPOINT_FILES, CHECKPOINT_FORMAT_VERSION } from "./checkpoint.ts";
import { checkpointPath } from "./checkpoint_list.ts";
import type { ModelConfig } from "./config.ts";
import { toHuggingFaceConfig } from "./hugging_face_config.ts";
import { OPTIMIZER_KEY, type StateTensor, stateTensors } from "./optimizer_state.ts";
import { type Parameter, parameters, storedName } from "./parameters.ts";
import { type TensorData, type TensorToWrite, writeSafetensors } from "./safetensors_write.ts";

/** What goes into a checkpoint. The tensors' values are asked for one by one, as they are written. */
export interface CheckpointContent {
  /** Optimizer steps done. */
  step: number;
  config: ModelConfig;
  /** Weights of a parameter that is trained. */
  weight: (parameter: Parameter) => TensorData;
  /** Whose state `optimizer.safetensors` holds. @default "adamw" */
  optimizer?: OptimizerName;
  /** A tensor of the optimizer's state, as its `dtype`; asked for after all weights, in the order of `stateTensors`. */
  optimizerState: (tensor: StateTensor) => TensorData;
  /** Where adapters are trained, the model that they belong to. */
  base?: AdapterBase | undefined;
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
  const { config, step, state, weight, optimizer = "adamw", optimizerState, tokenizer, base } = content;
  const files = CHECKPOINT_FILES;
  const digests: Record<string, string> = {};
  const texts: Record<string, string> = {
    [files.config]: toJson(toHuggingFaceConfig(config)),
    [files.tokenizer]: toJson(tokenizer),
  };
  if (base !== undefined) texts[ADAPTER_FILES.config] = toJson(toPeftConfig(config.lora!, base.path));
  for (const [name, text] of Object.entries(texts)) {
    await writeFileSynced(join(dir, name), text);
    digests[name] = sha256(text);
  }
  const trained = parameters(config).filter(({ frozen }) => !frozen);
  const tensors = {
    ...(base === undefined
      ? { [files.model]: trained.map((p) => tensor(storedName(config, p.name), p, weight(p))) }
      : { [ADAPTER_FILES.weights]: trained.map((p) => peftTensor(p, weight(p))) }),
    [files.optimizer]: stateTensors(config, optimizer).map((each) => {
      const { name, dtype, shape } = each;
      return { name, dtype, shape, data: optimizerState(each) };
    }),
  };
  // Without the mark `format` Hugging Face's loader refuses a file.
  const metadata = { format: "pt", ...(base === undefined ? {} : { [BASE_DIGEST]: base.sha256 }) };
  for (const [name, list] of Object.entries(tensors)) {
    const own = name === files.optimizer ? { ...metadata, [OPTIMIZER_KEY]: optimizer } : metadata;
    digests[name] = await writeSafetensors(join(dir, name), list, own);
  }
  const stateFile = { format_version: CHECKPOINT_FORMAT_VERSION, step, sha256: digests, state };
  await writeFileSynced(join(dir, files.state), toJson(stateFile));
}

const toJson = (value: unknown) => `${JSON.stringify(value, null, 1)}\n`;

function tensor(name: string, { shape }: Parameter, data: TensorData): TensorToWrite {
  return { name, dtype: "F32", shape, data };
}
