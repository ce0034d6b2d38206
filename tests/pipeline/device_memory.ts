/** Counts the bytes of the buffers and textures that live on the device, as they are made and destroyed, and what was planned. */

import { join } from "path";
import { prepare } from "../../data/mod.ts";
import { openGpu } from "../../gpu/mod.ts";
import { Generator, type ModelConfig, modelConfig, TrainableModel } from "../../models/mod.ts";
import { train, type TrainOptions } from "../../mod.ts";
import { planReport, resolveRunConfig, type TrainingConfig } from "../../pipeline/mod.ts";

/** Bytes on the device now, and the most there were. */
export interface DeviceMemory {
  live: number;
  peak: number;
}

type Maker = (this: GPUDevice, descriptor: GPUBufferDescriptor & GPUTextureDescriptor) => {
  destroy(): void;
};

/** Runs `body` while all that is made on any device is counted. */
export async function countDeviceMemory(body: (memory: DeviceMemory) => Promise<void>): Promise<void> {
  const memory = { live: 0, peak: 0 };
  const prototype = GPUDevice.prototype as unknown as Record<string, Maker>;
  const originals = new Map(["createBuffer", "createTexture"].map((name) => [name, prototype[name]!]));
  for (const [name, make] of originals) {
    prototype[name] = function (descriptor) {
      const made = make.call(this, descriptor);
      const bytes = name === "createBuffer" ? descriptor.size as unknown as number : textureBytes(descriptor);
      memory.live += bytes;
      memory.peak = Math.max(memory.peak, memory.live);
      const destroy = made.destroy;
      made.destroy = () => {
        memory.live -= bytes;
        destroy.call(made);
      };
      return made;
    };
  }
  try {
    await body(memory);
  } finally {
    for (const [name, make] of originals) prototype[name] = make;
  }
}

/** The engine's textures are rgba32float or rgba16float with one level: 16 or 8 bytes a texel. */
function textureBytes({ size, format }: GPUTextureDescriptor): number {
  const bytes = new Map<string, number>([["rgba32float", 16], ["rgba16float", 8]]).get(format);
  if (bytes === undefined) throw new Error(`a texture of format ${format}`);
  const [width, height = 1] = size as [number, number?];
  return width * height * bytes;
}

/**
 * Trains on the corpus of `inFolder` to the end, with an evaluation and a sample after the first step, whose programs stay, so that
 * the checkpoint at the end comes beside all else.
 *
 * @returns the most bytes that were on the device, and what `plan` says
 */
export async function measurePlanned(
  dir: string,
  model: string,
  settings: NonNullable<TrainOptions["training"]>,
): Promise<{ peak: number; planned: number }> {
  const training = { eval_interval: 1, sample_interval: 1, ...settings };
  const flags = Object.fromEntries(
    Object.entries(training).map(([key, value]) => [`training.${key}`, value]),
  );
  const config = await resolveRunConfig({ configPath: model, flags });
  const data = await prepare({ ...config.data, corpus: join(dir, "corpus.txt") }, {
    processed_dir: join(dir, "processed"),
  });
  let peak = 0;
  await countDeviceMemory(async (memory) => {
    await train({ model, data, training, runs_dir: join(dir, "runs"), warn: () => {} });
    peak = memory.peak;
  });
  const gpu = await openGpu();
  try {
    const { memory } = planReport(modelConfig(config.model, data.tokenizer.vocab_size), config.training, gpu);
    return { peak, planned: memory.total };
  } finally {
    gpu.close();
  }
}

/**
 * Allocates all that a training, its evaluation and its samples take, without running any of it.
 *
 * @returns the most bytes that were on the device, and what `plan` says of them: all but what reading a checkpoint takes
 */
export async function measureAllocated(
  model: ModelConfig,
  training: TrainingConfig,
): Promise<{ peak: number; planned: number }> {
  const gpu = await openGpu();
  try {
    const { memory } = planReport(model, training, gpu);
    let peak = 0;
    await countDeviceMemory(async (counted) => {
      const trainable = new TrainableModel(gpu, model, training);
      await trainable.evaluate([]); // which opens it
      new Generator(gpu, model, trainable.store);
      peak = counted.peak;
      trainable.destroy();
    });
    gpu.check();
    return { peak, planned: memory.total - memory.read_back };
  } finally {
    gpu.close();
  }
}
