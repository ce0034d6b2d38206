/**
 * Where the time of a step goes: one timestamp pair per kernel, summed by kernel over the profiled steps. Passes are split
 * at every dispatch while profiling, which costs a little. Where timestamps are missing or do not measure (llvmpipe
 * stamps when it queues work, not when it does it), `replay` times each dispatch alone instead.
 */

import type { Gpu } from "./device.ts";
import type { Phase } from "./graph.ts";
import type { ReadyDispatch } from "./kernel.ts";
import { Readback, readBuffer } from "./readback.ts";

/** Time and work of one dispatch. */
export interface KernelTime {
  label: string;
  /** Of a program's dispatches, which half of the step they belong to; the optimizer's belong to neither. */
  phase?: Phase | undefined;
  /** Whether it computes again what the forward pass did. */
  repeats?: boolean | undefined;
  /** Nanoseconds on the device's clock. */
  begin: number;
  end: number;
  flops: number;
  bytes: number;
}

/** One line of the profile's table. */
export interface KernelSummary {
  kernel: string;
  calls: number;
  milliseconds: number;
  gflops: number;
  gigabytes_per_second: number;
  /** Share of the time of all kernels, 0 to 1. */
  share: number;
}

const CAPACITY = 2048;

/** Whether an adapter's timestamps measure: llvmpipe's say when work was queued. */
export function timestampsMeasure(
  { profile, hasTimestamps }: Pick<Gpu, "profile" | "hasTimestamps">,
): boolean {
  return profile === "gpu" && hasTimestamps;
}

/** Collects the timestamps of the steps it is handed to. */
export class Profiler {
  readonly times: KernelTime[] = [];
  readonly #gpu: Gpu;
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  #pending: ReadyDispatch[] = [];

  /** @throws Error when the adapter has no timestamp queries. */
  constructor(gpu: Gpu) {
    if (!gpu.hasTimestamps) throw new Error(`${gpu.adapter.name} has no timestamp queries`);
    this.#gpu = gpu;
    this.#queries = gpu.device.createQuerySet({ type: "timestamp", count: 2 * CAPACITY });
    this.#resolved = gpu.device.createBuffer({
      size: 16 * CAPACITY,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
  }

  /** The timestamp writes of the next dispatch; undefined when the query set is full. */
  next(dispatch: ReadyDispatch): GPUComputePassTimestampWrites | undefined {
    const i = this.#pending.length;
    if (i >= CAPACITY) return undefined;
    this.#pending.push(dispatch);
    return { querySet: this.#queries, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 };
  }

  /** To be called after a submit whose passes were profiled. */
  submitted(): void {
    const encoder = this.#gpu.device.createCommandEncoder();
    encoder.resolveQuerySet(this.#queries, 0, 2 * this.#pending.length, this.#resolved, 0);
    this.#gpu.device.queue.submit([encoder.finish()]);
  }

  /** Reads the timestamps of what was submitted since the last call. Waits for the device. */
  async collect(): Promise<void> {
    const dispatches = this.#pending;
    this.#pending = [];
    if (dispatches.length === 0) return;
    const stamps = new BigUint64Array(await readBuffer(this.#gpu, this.#resolved, 0, 16 * dispatches.length));
    dispatches.forEach(({ label, phase, repeats, flops, bytes }, i) => {
      this.times.push({
        label,
        phase,
        repeats,
        flops,
        bytes,
        begin: Number(stamps[2 * i]!),
        end: Number(stamps[2 * i + 1]!),
      });
    });
  }

  /** Frees the query set. */
  destroy(): void {
    this.#queries.destroy();
    this.#resolved.destroy();
  }
}

/** Encodes dispatches into one compute pass, or with a profiler into one pass each. */
export function encodePass(
  encoder: GPUCommandEncoder,
  dispatches: ReadyDispatch[],
  profiler?: Profiler,
): void {
  if (profiler === undefined) {
    const pass = encoder.beginComputePass();
    for (const dispatch of dispatches) encodeOne(pass, dispatch);
    pass.end();
    return;
  }
  for (const dispatch of dispatches) {
    const timestampWrites = profiler.next(dispatch);
    const pass = encoder.beginComputePass(timestampWrites === undefined ? {} : { timestampWrites });
    encodeOne(pass, dispatch);
    pass.end();
  }
}

function encodeOne(pass: GPUComputePassEncoder, { pipeline, bindGroup, workgroups }: ReadyDispatch): void {
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindGroup);
  pass.dispatchWorkgroups(...workgroups);
}

/** The table of a profile: kernels by falling share. Kernels are grouped by what stands before ` | ` in their label. */
export function summarise(times: KernelTime[]): KernelSummary[] {
  const groups = Map.groupBy(times, (t) => t.label.split(" | ")[0]!);
  const total = times.reduce((sum, t) => sum + t.end - t.begin, 0);
  return [...groups].map(([kernel, list]) => {
    const time = list.reduce((sum, t) => sum + t.end - t.begin, 0);
    return {
      kernel,
      calls: list.length,
      milliseconds: time / 1e6,
      gflops: list.reduce((sum, t) => sum + t.flops, 0) / time,
      gigabytes_per_second: list.reduce((sum, t) => sum + t.bytes, 0) / time,
      share: time / total,
    };
  }).sort((a, b) => b.share - a.share);
}

/** Seconds that the device spends on a step, by what for. */
export interface StepSeconds {
  /** The loss, and with it the head's gradient, which one kernel computes. */
  forward: number;
  backward: number;
  /** What of `backward` computes again what the forward pass did. */
  recomputed: number;
  optimizer: number;
}

/**
 * Seconds of a step by what for.
 *
 * @param times of the kernels of one micro-batch and of the optimizer
 * @param micro_batches of the step
 *
 * @example
 * ```ts
 * import { stepSeconds } from "./profile.ts";
 * const times = [{ label: "adamw", begin: 0, end: 2e6, flops: 0, bytes: 0 }];
 * stepSeconds(times, 4); // { forward: 0, backward: 0, recomputed: 0, optimizer: 0.002 }
 * ```
 */
export function stepSeconds(times: KernelTime[], micro_batches: number): StepSeconds {
  const seconds = (phase: Phase | undefined) => milliseconds(times.filter((t) => t.phase === phase)) / 1e3;
  return {
    forward: micro_batches * seconds("forward"),
    backward: micro_batches * seconds("backward"),
    recomputed: micro_batches * milliseconds(times.filter(({ repeats }) => repeats)) / 1e3,
    optimizer: seconds(undefined),
  };
}

function milliseconds(times: KernelTime[]): number {
  return times.reduce((sum, t) => sum + t.end - t.begin, 0) / 1e6;
}

/** The table of a profile as text; its last line says what of the time computes something again, if anything does. */
export function profileTable(times: KernelTime[]): string {
  const total = milliseconds(times);
  const share = (part: number) => `${(100 * part).toFixed(1)} %`.padStart(8);
  const rows = summarise(times).map((k) =>
    [
      k.kernel.padEnd(30),
      String(k.calls).padStart(5),
      k.milliseconds.toFixed(2).padStart(10),
      k.gflops.toFixed(1).padStart(9),
      k.gigabytes_per_second.toFixed(1).padStart(8),
      share(k.share),
    ].join("")
  );
  const head = `${"kernel".padEnd(30)}calls        ms  GFLOP/s    GB/s   share`;
  const lines = [head, ...rows, `${"all kernels".padEnd(35)}${total.toFixed(2).padStart(10)}`];
  const again = times.filter(({ repeats }) => repeats);
  if (again.length > 0) {
    const time = milliseconds(again);
    lines.push(
      [
        "of them computed again".padEnd(30),
        String(again.length).padStart(5),
        time.toFixed(2).padStart(10),
        share(time / total).padStart(25),
      ].join(""),
    );
  }
  return lines.join("\n");
}

/** The profile in the Trace Event Format of Chrome and Perfetto. */
export function chromeTrace(times: KernelTime[]): object {
  const start = Math.min(...times.map((t) => t.begin));
  return {
    displayTimeUnit: "ms",
    traceEvents: times.map((t) => ({
      name: t.label.split(" | ")[0],
      cat: "kernel",
      ph: "X",
      pid: 1,
      tid: 1,
      ts: (t.begin - start) / 1e3,
      dur: (t.end - t.begin) / 1e3,
      args: {
        node: t.label.split(" | ")[1] ?? "",
        flops: t.flops,
        bytes: t.bytes,
        ...(t.repeats ? { recomputed: true } : {}),
      },
    })),
  };
}

/**
 * Times every dispatch by running it again and again, alone. What it computes is thrown away by that, so it is for a
 * model that is not trained further.
 *
 * @param milliseconds least time of one measurement
 */
export async function replay(
  gpu: Gpu,
  dispatches: ReadyDispatch[],
  milliseconds = 20,
): Promise<KernelTime[]> {
  const marker = gpu.device.createBuffer({ size: 16, usage: GPUBufferUsage.COPY_SRC });
  const wait = await Readback.create(gpu, 16);
  const run = async (dispatch: ReadyDispatch, count: number) => {
    const begin = performance.now();
    const encoder = gpu.device.createCommandEncoder();
    encodePass(encoder, Array.from({ length: count }, () => dispatch));
    gpu.device.queue.submit([encoder.finish()]);
    await wait.read(marker);
    return performance.now() - begin;
  };
  const times: KernelTime[] = [];
  let clock = 0;
  for (const dispatch of dispatches) {
    await run(dispatch, 1); // compiles
    const once = await run(dispatch, 1);
    const count = Math.max(1, Math.min(200, Math.ceil(milliseconds / Math.max(once, 0.02))));
    const time = (await run(dispatch, count)) / count * 1e6;
    times.push({
      label: dispatch.label,
      phase: dispatch.phase,
      repeats: dispatch.repeats,
      flops: dispatch.flops,
      bytes: dispatch.bytes,
      begin: clock,
      end: clock + time,
    });
    clock += time;
  }
  wait.destroy();
  marker.destroy();
  return times;
}
