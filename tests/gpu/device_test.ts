/** Errors of the device become exceptions, bytes come home right, profiles count every kernel. */

import assert from "assert";
import {
  axis,
  chromeTrace,
  gelu,
  Graph,
  KernelCache,
  Profiler,
  replay,
  RingReader,
  rowsOf,
  summarise,
} from "../../gpu/mod.ts";
import { Readback, readBuffer } from "../../gpu/readback.ts";
import { openGraph, randomMatrix, withGpu } from "./support.ts";

const USAGE = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;

Deno.test("a kernel whose WGSL is wrong becomes an exception that names it", async () => {
  await assert.rejects(
    () =>
      withGpu({}, async (gpu) => {
        const code = "@compute @workgroup_size(1) fn main() { let x: u32 = 1.0; }";
        const spec = { label: "wrong kernel", bound: [], workgroups: [1, 1, 1] as [number, number, number] };
        new KernelCache(gpu).prepare({ ...spec, code, flops: 0, bytes: 0 });
        await gpu.device.queue.onSubmittedWorkDone();
      }),
    /WebGPU: [^]*wrong kernel/,
  );
});

Deno.test("work that the device refuses becomes an exception at the next read-back", async () => {
  await assert.rejects(() =>
    withGpu({}, async (gpu) => {
      const source = gpu.device.createBuffer({ size: 64, usage: USAGE });
      const encoder = gpu.device.createCommandEncoder();
      encoder.copyBufferToBuffer(source, 0, source, 32, 64); // beyond its end
      gpu.device.queue.submit([encoder.finish()]);
      await readBuffer(gpu, source, 0, 64);
    }), /WebGPU: /);
});

Deno.test("the first error of a device is the one that is thrown, again and again", async () => {
  await withGpu({}, async (gpu) => {
    gpu.check();
    gpu.device.createBuffer({
      size: 4,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.STORAGE,
      label: "first",
    });
    gpu.device.createBuffer({
      size: 4,
      usage: GPUBufferUsage.MAP_WRITE | GPUBufferUsage.STORAGE,
      label: "second",
    });
    await gpu.device.queue.onSubmittedWorkDone();
    assert.throws(() => gpu.check(), /MAP_READ/);
    assert.throws(() => gpu.check(), /MAP_READ/);
    gpu.close();
    gpu.check(); // a device that was closed on purpose has nothing to say
  });
});

Deno.test("a buffer comes home from any offset, in pieces where it is large", async () => {
  await withGpu({}, async (gpu) => {
    const words = (36 << 20) / 4; // more than the 32 MiB of a piece
    const data = new Uint32Array(words).map((_, i) => Math.imul(i, 2654435761));
    const buffer = gpu.device.createBuffer({ size: data.byteLength, usage: USAGE });
    gpu.device.queue.writeBuffer(buffer, 0, data);
    assert.deepEqual(new Uint32Array(await readBuffer(gpu, buffer, 0, data.byteLength)), data);
    const part = new Uint32Array(await readBuffer(gpu, buffer, 1024, 400));
    assert.deepEqual(part, data.slice(256, 356));
    assert.equal((await readBuffer(gpu, buffer, 0, 0)).byteLength, 0);
    buffer.destroy();
  });
});

/** A kernel that adds 1 to every element of `buffer`. */
function counter(kernels: KernelCache, buffer: GPUBuffer) {
  return kernels.prepare({
    label: "count",
    code: `@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) { x[gid.x] = x[gid.x] + 1.0; }`,
    bound: [{ kind: "write", resource: { buffer } }],
    workgroups: [1, 1, 1],
    flops: 16,
    bytes: 128,
  });
}

Deno.test("a read-back sees all work before it and none after it", async () => {
  await withGpu({}, async (gpu) => {
    const buffer = gpu.device.createBuffer({ size: 64, usage: USAGE });
    const count = counter(new KernelCache(gpu), buffer);
    const readback = await Readback.create(gpu, 64);
    const ring = new RingReader(gpu, [buffer]);
    const work = () => {
      const encoder = gpu.device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(count.pipeline);
      pass.setBindGroup(0, count.bindGroup);
      pass.dispatchWorkgroups(1);
      pass.end();
      gpu.device.queue.submit([encoder.finish()]);
    };
    for (let done = 1; done <= 12;) {
      work();
      assert.deepEqual(new Float32Array(await readback.read(buffer)), new Float32Array(16).fill(done++));
      work();
      const first = ring.read();
      work();
      const second = ring.read();
      work();
      assert.deepEqual((await Promise.all([first, second])).map(([x]) => x![0]), [done++, done++]);
      done++;
    }
    readback.destroy();
    ring.destroy();
    buffer.destroy();
  });
});

Deno.test("a ring reader brings home several buffers at once, in their order", async () => {
  await withGpu({}, async (gpu) => {
    const sources = [4, 1, 8].map((words) => gpu.device.createBuffer({ size: 16 * words, usage: USAGE }));
    const ring = new RingReader(gpu, sources);
    const write = (value: number) =>
      sources.forEach((s, i) =>
        gpu.device.queue.writeBuffer(s, 0, new Float32Array(s.size / 4).fill(value + i))
      );
    write(10);
    const first = ring.read();
    await Promise.resolve();
    assert.deepEqual((await first).map((a) => [a.length, a[0]]), [[16, 10], [4, 11], [32, 12]]);
    write(20);
    assert.deepEqual((await ring.read()).map((a) => a.at(-1)), [20, 21, 22]);
    ring.destroy();
  });
});

Deno.test("inputs are checked by name and size, outputs by name", async () => {
  const graph = new Graph();
  graph.output("y", gelu(graph.parameter("x", rowsOf(2), axis(4))));
  graph.input("tokens", 3);
  await withGpu({}, async (gpu) => {
    const opened = openGraph(gpu, graph, { x: randomMatrix(2, 4, 1) });
    opened.program.write("tokens", new Uint32Array(3));
    assert.throws(
      () => opened.program.write("tokens", new Uint32Array(4)),
      /tokens: expected 12 bytes, got 16/,
    );
    assert.throws(() => opened.program.write("targets", new Uint32Array(3)), /no input named targets/);
    await assert.rejects(() => opened.program.read("z"), /no output named z/);
    opened.close();
  });
});

Deno.test("profiles have one time for each kernel", async () => {
  const graph = new Graph();
  const x = graph.parameter("x", rowsOf(20), axis(4));
  graph.output("y", gelu(x));
  graph.output("z", gelu(gelu(x)));
  await withGpu({}, async (gpu) => {
    const opened = openGraph(gpu, graph, { x: randomMatrix(20, 4, 1) });
    const labels = opened.program.dispatches.map((d) => d.label);
    const alone = await replay(gpu, opened.program.dispatches, 1);
    assert.deepEqual(alone.map((t) => t.label), labels);
    for (const t of alone) assert(t.end > t.begin);
    if (gpu.hasTimestamps) {
      const profiler = new Profiler(gpu);
      for (let run = 0; run < 2; run++) opened.program.run(profiler);
      await profiler.collect();
      assert.deepEqual(profiler.times.map((t) => t.label), [...labels, ...labels]);
      profiler.destroy();
    }
    opened.close();
  });
});

const TIMES = [
  { label: "matmul NN | h.0/linear", begin: 1000, end: 4000, flops: 6000, bytes: 300 },
  { label: "gelu | h.0/gelu", begin: 4000, end: 5000, flops: 10, bytes: 2000 },
  { label: "matmul NN | h.1/linear", begin: 5000, end: 9000, flops: 8000, bytes: 400 },
];

Deno.test("a profile's table sums by kernel, most time first", () => {
  assert.deepEqual(summarise(TIMES), [
    {
      kernel: "matmul NN",
      calls: 2,
      milliseconds: 0.007,
      gflops: 2,
      gigabytes_per_second: 0.1,
      share: 7 / 8,
    },
    { kernel: "gelu", calls: 1, milliseconds: 0.001, gflops: 0.01, gigabytes_per_second: 2, share: 1 / 8 },
  ]);
});

Deno.test("a profile in the Trace Event Format begins at 0 and counts in microseconds", () => {
  const { traceEvents } = chromeTrace(TIMES) as { traceEvents: Record<string, unknown>[] };
  assert.deepEqual(traceEvents.map((e) => [e.name, e.ph, e.ts, e.dur]), [
    ["matmul NN", "X", 0, 3],
    ["gelu", "X", 3, 1],
    ["matmul NN", "X", 4, 4],
  ]);
  assert.deepEqual(traceEvents[0]!.args, { node: "h.0/linear", flops: 6000, bytes: 300 });
});
