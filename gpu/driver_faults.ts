/**
 * Faults of drivers and shader compilers that are known to exist, each found by trying it on this adapter. The engine's
 * kernels avoid them all; whoever writes a kernel should know which of them hold here.
 */

import type { Gpu } from "./device.ts";
import { KernelCache } from "./kernel.ts";
import { Readback } from "./readback.ts";

/** What one trial found. */
export interface DriverFault {
  name: "loop_limit" | "bare_var_in_loop" | "eager_read_back" | "timestamps";
  /** Whether the fault holds here; undefined where it could not be tried. */
  holds: boolean | undefined;
  /** What was seen and what it means, in one sentence. */
  detail: string;
}

/** Tries all known faults. Takes about a second where kernels compile slowly. */
export async function findDriverFaults(gpu: Gpu): Promise<DriverFault[]> {
  return [await loopLimit(gpu), await bareVarInLoop(gpu), await eagerReadBack(gpu), await timestamps(gpu)];
}

/** Trip counts that the compiler must not know, and what the kernel saw. */
const TRIAL_BINDINGS = `@group(0) @binding(0) var<storage, read> given: array<u32>;
@group(0) @binding(1) var<storage, read_write> seen: array<u32>;
`;

/** Mesa before 25 ends all loops of one invocation after 65535 trips in total (LP_MAX_TGSI_LOOP_ITERATIONS). */
async function loopLimit(gpu: Gpu): Promise<DriverFault> {
  const trips = 70000;
  const [seen] = await runTrial(
    gpu,
    "loop limit",
    [trips],
    [1, 1, 1],
    `@compute @workgroup_size(1) fn main() {
  var count = 0u;
  for (var i = 0u; i < given[0]; i++) { count += 1u + given[1]; }
  seen[0] = count;
}`,
  );
  return {
    name: "loop_limit",
    holds: seen !== trips,
    detail: seen === trips
      ? `a loop of ${trips} trips runs to its end`
      : `a loop of ${trips} trips ended after ${seen}: kernels must do with fewer trips an invocation`,
  };
}

/** naga 29 does not zero a variable without initial value anew in each trip of a loop (gfx-rs/wgpu#9489). */
async function bareVarInLoop(gpu: Gpu): Promise<DriverFault> {
  const seen = await runTrial(
    gpu,
    "bare var",
    [4],
    [1, 1, 1],
    `@compute @workgroup_size(1) fn main() {
  for (var i = 0u; i < given[0]; i++) { var x: u32; x += i + 1u; seen[i] = x; }
}`,
  );
  const right = [1, 2, 3, 4].every((value, i) => seen[i] === value);
  return {
    name: "bare_var_in_loop",
    holds: !right,
    detail: right
      ? "a variable without initial value is zeroed in each trip of a loop"
      : "a variable without initial value keeps its value from one trip of a loop to the next: give it one",
  };
}

/** Whether small results can be had without the 10 ms that an awaited map costs in Deno. */
async function eagerReadBack(gpu: Gpu): Promise<DriverFault> {
  const readback = await Readback.create(gpu, 64);
  const works = readback.isEager;
  readback.destroy();
  return {
    name: "eager_read_back",
    holds: !works,
    detail: works
      ? "results are read without waiting for the event loop"
      : "every read waits for the event loop: generation is slower",
  };
}

/** llvmpipe stamps when it queues work and not when it does it. */
async function timestamps(gpu: Gpu): Promise<DriverFault> {
  const name = "timestamps";
  if (!gpu.hasTimestamps) {
    return {
      name,
      holds: undefined,
      detail: "the adapter has no timestamp queries: profiles time kernels by replay",
    };
  }
  const { device } = gpu;
  const queries = device.createQuerySet({ type: "timestamp", count: 2 });
  const stamps = device.createBuffer({
    size: 16,
    usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
  });
  const work = `@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
  var x = gid.x;
  for (var i = 0u; i < given[0]; i++) { x = x * 1664525u + 1013904223u; }
  if (x == 7u) { seen[0] = x; }
}`;
  const writes = { querySet: queries, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
  const timed = async (trips: number) => {
    const begin = performance.now();
    await runTrial(gpu, name, [trips], [512, 1, 1], work, writes);
    return performance.now() - begin;
  };
  await timed(1); // compiles
  const overhead = await timed(1);
  const wall = Math.max(0, await timed(20000) - overhead);
  const encoder = device.createCommandEncoder();
  encoder.resolveQuerySet(queries, 0, 2, stamps, 0);
  device.queue.submit([encoder.finish()]);
  const readback = await Readback.create(gpu, 16);
  const [first, second] = new BigUint64Array(await readback.read(stamps));
  readback.destroy();
  stamps.destroy();
  queries.destroy();
  const measured = Number(second! - first!) / 1e6;
  const right = measured > 0 && Math.abs(measured - wall) <= wall / 2 + 5; // the clocks on both sides are coarse
  return {
    name,
    holds: !right,
    detail: right
      ? "timestamps measure the time that a kernel takes"
      : `timestamps said ${measured.toFixed(3)} ms of a kernel that took ${
        wall.toFixed(1)
      } ms: profiles time by replay`,
  };
}

/** Runs a kernel over `TRIAL_BINDINGS` and gives the first words of `seen`. */
async function runTrial(
  gpu: Gpu,
  label: string,
  given: number[],
  workgroups: [number, number, number],
  code: string,
  timestampWrites?: GPUComputePassTimestampWrites,
): Promise<Uint32Array> {
  const { device } = gpu;
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const input = device.createBuffer({ size: 64, usage });
  const output = device.createBuffer({ size: 64, usage });
  device.queue.writeBuffer(input, 0, new Uint32Array(given));
  const { pipeline, bindGroup } = new KernelCache(gpu).prepare({
    label,
    code: `${TRIAL_BINDINGS}${code}`,
    bound: [{ kind: "read", resource: { buffer: input } }, { kind: "write", resource: { buffer: output } }],
    workgroups,
    flops: 0,
    bytes: 0,
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass(timestampWrites === undefined ? {} : { timestampWrites });
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindGroup);
  pass.dispatchWorkgroups(...workgroups);
  pass.end();
  device.queue.submit([encoder.finish()]);
  const readback = await Readback.create(gpu, 64);
  const seen = new Uint32Array(await readback.read(output));
  readback.destroy();
  input.destroy();
  output.destroy();
  return seen;
}
