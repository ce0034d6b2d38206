/**
 * A model in training on the device: the program of a micro-batch, the optimizer and the weights that they share. It
 * submits steps and hands metrics back; what to train on, for how long and when to save is the trainer's business.
 */

import {
  FIRST_LOSS_SCALE,
  type Gpu,
  IGNORE_TARGET,
  KernelCache,
  type KernelTime,
  layoutParameters,
  LOSS_SCALE_LENGTH,
  type LossScale,
  type MixedPrecision,
  Optimizer,
  type OptimizerName,
  ParameterStore,
  type Plan,
  plan,
  type Plane,
  type PlanTarget,
  Profiler,
  Program,
  readBuffer,
  type ReadyDispatch,
  replay,
  RingReader,
  timestampsMeasure,
  tokenIndex,
  type WarmUp,
  warmUp,
} from "../gpu/mod.ts";
import type { ModelConfig } from "./config.ts";
import { evaluationGraph, type GradientCheckpointing, trainingGraph } from "./gpt.ts";
import { parameterSpecs } from "./parameter_specs.ts";
import { parameters, type Weights } from "./parameters.ts";

/** How a model is trained, as far as the device must know. */
export interface TrainableOptions {
  /** Sequences of a micro-batch. */
  batch_size: number;
  /** Tokens of a sequence. */
  max_seq_length: number;
  /** Micro-batches of a step. */
  accumulate_grad_batches: number;
  /** What of the forward pass is computed again in the backward pass, to save memory. @default "none" */
  gradient_checkpointing?: GradientCheckpointing;
  /** `f16`: activations, and weights as kernels read them, are held in half precision; what is trained stays float32. @default "none" */
  mixed_precision?: MixedPrecision;
  /** @default "adamw" */
  optimizer?: OptimizerName;
  beta1: number;
  beta2: number;
  epsilon: number;
  /** Memory of the running sum of gradients: `muon` and `sgd`. */
  momentum?: number;
  weight_decay: number;
  /** Largest global gradient norm; 0 does not clip. */
  grad_clip: number;
  /** Seed of dropout. */
  seed: number;
}

/** One micro-batch: ids and the ids that follow them, both [B * T]. */
export interface MicroBatch {
  input_ids: Uint32Array<ArrayBuffer>;
  targets: Uint32Array<ArrayBuffer>;
}

/** What is known of one optimizer step. */
export interface StepMetrics {
  step: number;
  /** Mean loss over the step's tokens, in nats per token, before the update. */
  loss: number;
  /** Global gradient norm before clipping; not finite when the step was skipped. */
  grad_norm: number;
  /** What gradients were multiplied by in half precision, with `mixed_precision`. */
  loss_scale?: number;
}

/** Steps whose metrics the device keeps until they are read. */
export const METRICS_RING = 256;

/** Batches that one evaluation call may hold before their losses are read. */
const EVALUATION_RING = 256;

/** A model in training. */
export class TrainableModel {
  readonly config: ModelConfig;
  readonly options: TrainableOptions;
  readonly store: ParameterStore;
  readonly #gpu: Gpu;
  readonly #kernels: KernelCache;
  readonly #program: Program;
  readonly #optimizer: Optimizer;
  readonly #metrics: RingReader;
  readonly #lossScale: GPUBuffer | undefined;
  #evaluation: { program: Program; reader: RingReader } | undefined;
  #warmUp: WarmUp | undefined;
  /** Steps whose metrics were not read yet. */
  #unread: number[] = [];

  /** Allocates weights, gradients, the optimizer's state and activations, and compiles. Weights are zero until `load`. */
  constructor(gpu: Gpu, config: ModelConfig, options: TrainableOptions) {
    this.#gpu = gpu;
    this.config = config;
    this.options = options;
    this.#kernels = new KernelCache(gpu);
    const { optimizer = "adamw", mixed_precision = "none" } = options;
    const specs = parameterSpecs(config);
    this.store = new ParameterStore(gpu, specs, { training: true, optimizer, mixed_precision });
    this.#program = new Program(gpu, trainingPlan(config, options, gpu), this.store, this.#kernels);
    this.#lossScale = mixed_precision === "f16" ? this.#program.inputBuffer("loss_scale") : undefined;
    this.setLossScale({ scale: FIRST_LOSS_SCALE, finite_steps: 0 });
    const settings = { ...options, ring: METRICS_RING };
    this.#optimizer = new Optimizer(gpu, this.store, this.#kernels, settings, this.#lossScale);
    const { norms, scales } = this.#optimizer;
    const rings = [this.#program.outputBuffer("losses"), norms, ...(scales === undefined ? [] : [scales])];
    this.#metrics = new RingReader(gpu, rings);
  }

  /** Has kernels compiled beside the first step, where that helps; see `warmUp`. Ends with the first metrics. */
  async warmUp(): Promise<void> {
    this.#warmUp = await warmUp(this.#gpu, this.#kernels);
  }

  /** The plan of a micro-batch. */
  get plan(): Plan {
    return this.#program.plan;
  }

  /** Where the loss scale stands after the steps submitted so far; undefined without one. Waits for the device. */
  async lossScale(): Promise<LossScale | undefined> {
    if (this.#lossScale === undefined) return undefined;
    const bytes = await readBuffer(this.#gpu, this.#lossScale, 0, 4 * LOSS_SCALE_LENGTH);
    const [scale, finite_steps] = new Float32Array(bytes) as unknown as [number, number];
    return { scale, finite_steps };
  }

  /** Sets where the loss scale stands, if there is one. */
  setLossScale({ scale, finite_steps }: LossScale): void {
    if (this.#lossScale === undefined) return;
    this.#gpu.device.queue.writeBuffer(this.#lossScale, 0, new Float32Array([scale, finite_steps]));
  }

  /** Writes all weights. */
  load(weights: Weights): void {
    for (const { name } of parameters(this.config)) this.store.write(name, weights.get(name)!.data);
    this.store.syncMirrors();
  }

  /**
   * Submits one optimizer step and does not wait for it.
   *
   * @param step the step's number, counted from 1
   * @param micro as many micro-batches as `accumulate_grad_batches` says
   * @param profiler times the last micro-batch and the optimizer
   */
  step(step: number, learning_rate: number, micro: MicroBatch[], profiler?: Profiler): void {
    const { accumulate_grad_batches: count, beta1, beta2, seed } = this.options;
    if (micro.length !== count) throw new Error(`expected ${count} micro-batches, got ${micro.length}`);
    if ((this.#unread.length + 1) * count > METRICS_RING) {
      throw new Error("metrics must be read before the ring is full");
    }
    micro.forEach((batch, i) => {
      const index = (step - 1) * count + i;
      this.#program.write("input_ids", batch.input_ids);
      this.#program.write("targets", batch.targets);
      this.#program.write("token_index", tokenIndex(batch.input_ids, this.config.vocab_size));
      this.#program.setStep({ seed, index: index >>> 0, slot: index % METRICS_RING });
      const encoder = this.#gpu.device.createCommandEncoder();
      if (i === 0 && count > 1) this.#optimizer.encodeClear(encoder);
      this.#program.encode(encoder, i === count - 1 ? profiler : undefined);
      if (i === count - 1) {
        this.#optimizer.setStep({
          slot: step % METRICS_RING,
          learning_rate,
          correction1: 1 - beta1 ** step,
          correction2: 1 - beta2 ** step,
        });
        this.#optimizer.encode(encoder, profiler);
      }
      this.#gpu.device.queue.submit([encoder.finish()]);
    });
    profiler?.submitted();
    this.#unread.push(step);
  }

  /** The kernels of a step of one micro-batch, in their order. */
  dispatches(): ReadyDispatch[] {
    return [...this.#program.dispatches, ...this.#optimizer.dispatches];
  }

  /**
   * Times every kernel of a step of one micro-batch: by timestamps over one more step where the adapter's measure, else by replay. Either
   * way the weights are spoilt, so it comes after training.
   *
   * @param step the number of a step; with the micro-batches of it
   */
  async profile(step: number, micro: MicroBatch[]): Promise<KernelTime[]> {
    if (this.hasTimes) return await this.timedStep(step, 0, micro);
    return await replay(this.#gpu, this.dispatches());
  }

  /** Whether the adapter's timestamps measure. */
  get hasTimes(): boolean {
    return timestampsMeasure(this.#gpu);
  }

  /**
   * Submits one optimizer step as `step` does, waits for it, and gives the times of the kernels of its last micro-batch and
   * of the optimizer. Timed or not, a step computes the same.
   *
   * @throws Error when the adapter has no timestamp queries
   */
  async timedStep(step: number, learning_rate: number, micro: MicroBatch[]): Promise<KernelTime[]> {
    const profiler = new Profiler(this.#gpu);
    try {
      this.step(step, learning_rate, micro, profiler);
      await profiler.collect();
      return profiler.times;
    } finally {
      profiler.destroy();
    }
  }

  /** Steps submitted whose metrics were not asked for. At most 256 micro-batches may be unread. */
  get unreadSteps(): number {
    return this.#unread.length;
  }

  /** Asks for the metrics of all steps since the last call. See `RingReader.read` on when to await. */
  async readMetrics(): Promise<StepMetrics[]> {
    const steps = this.#unread;
    this.#unread = [];
    const [losses, norms, scales] = await this.#metrics.read();
    await this.#warmUp?.end();
    this.#warmUp = undefined;
    const count = this.options.accumulate_grad_batches;
    return steps.map((step) => {
      let loss = 0; // each micro-batch's loss is already divided by their number
      for (let i = 0; i < count; i++) loss += losses![((step - 1) * count + i) % METRICS_RING]!;
      const slot = step % METRICS_RING;
      const scale = scales === undefined ? {} : { loss_scale: scales[slot]! };
      return { step, loss, grad_norm: norms![slot]!, ...scale };
    });
  }

  /**
   * Mean loss over batches, in nats per token, without dropout.
   *
   * @param batches ids and targets of the training batch's size; targets of 0xffffffff do not count
   * @param progress called with the number of batches done
   */
  async evaluate(
    batches: Iterable<MicroBatch>,
    progress?: (done: number) => void,
  ): Promise<{ loss: number; tokens: number }> {
    const { program, reader } = this.#evaluation ??= this.#openEvaluation();
    return await evaluateWith(program, reader, batches, progress);
  }

  #openEvaluation(): { program: Program; reader: RingReader } {
    const { batch_size: B, max_seq_length: T } = this.options;
    const { mixed_precision } = this.options;
    return openEvaluation(this.#gpu, this.config, { B, T }, this.store, this.#kernels, mixed_precision);
  }

  /** All weights (or what there is of another plane), as they are after the steps submitted so far. Waits for the device. */
  async weights(plane: Plane = "value"): Promise<Weights> {
    const weights: Weights = new Map();
    for (const { name, shape, frozen } of parameters(this.config)) {
      if (frozen && plane !== "value") continue;
      weights.set(name, { shape, data: await this.store.read(name, plane) });
    }
    return weights;
  }

  /** Frees everything on the device. */
  destroy(): void {
    this.#program.destroy();
    this.#optimizer.destroy();
    this.#metrics.destroy();
    this.#evaluation?.program.destroy();
    this.#evaluation?.reader.destroy();
    this.store.destroy();
  }
}

/** The plan of a training micro-batch, for running it or only for looking at it. */
export function trainingPlan(config: ModelConfig, options: TrainableOptions, target: PlanTarget): Plan {
  const { optimizer, mixed_precision } = options;
  const graph = trainingGraph(config, {
    B: options.batch_size,
    T: options.max_seq_length,
    micro_batches: options.accumulate_grad_batches,
    ring: METRICS_RING,
    gradient_checkpointing: options.gradient_checkpointing ?? "none",
    loss_scale: mixed_precision === "f16",
  });
  const layout = layoutParameters(parameterSpecs(config), target, optimizer, mixed_precision);
  return plan(graph, target, layout, mixed_precision);
}

/**
 * The program of an evaluation over weights in `store`.
 *
 * @param mixed_precision in what activations are held
 */
export function openEvaluation(
  gpu: Gpu,
  config: ModelConfig,
  size: { B: number; T: number },
  store: ParameterStore,
  kernels: KernelCache,
  mixed_precision: MixedPrecision = "none",
): { program: Program; reader: RingReader } {
  const graph = evaluationGraph(config, { ...size, ring: EVALUATION_RING });
  const program = new Program(gpu, plan(graph, gpu, store.layout, mixed_precision), store, kernels);
  return { program, reader: new RingReader(gpu, [program.outputBuffer("losses")]) };
}

/** Runs an evaluation program over batches and averages over the targets that count. */
export async function evaluateWith(
  program: Program,
  reader: RingReader,
  batches: Iterable<MicroBatch>,
  progress?: (done: number) => void,
): Promise<{ loss: number; tokens: number }> {
  let [sum, tokens, done, slot] = [0, 0, 0, 0];
  let [inFlight, since] = [1, performance.now()]; // batches between two read-backs: about a second of work
  const flush = async () => {
    const [losses] = await reader.read();
    for (let i = 0; i < slot; i++) sum += losses![i]!;
    const seconds = (performance.now() - since) / 1000;
    inFlight = Math.min(EVALUATION_RING, Math.max(1, Math.floor(slot / seconds)));
    [slot, since] = [0, performance.now()];
    progress?.(done);
  };
  for (const batch of batches) {
    program.write("input_ids", batch.input_ids);
    program.write("targets", batch.targets);
    program.setStep({ slot: slot++ });
    program.run();
    done++;
    for (const target of batch.targets) tokens += target === IGNORE_TARGET ? 0 : 1;
    if (slot >= inFlight) await flush();
  }
  if (slot > 0) await flush();
  return { loss: sum / tokens, tokens };
}
