/** Training steps as a whole: accumulation, the optimizer's trajectory, determinism, memory. */

import assert from "assert";
import {
  type Gpu,
  IGNORE_TARGET,
  KernelCache,
  type KernelTime,
  openGpu,
  OPTIMIZERS,
  ParameterStore,
  plan,
  Program,
  stepSeconds,
} from "../../gpu/mod.ts";
import { type ModelConfig, modelConfig, parameters, type Weights } from "../../models/mod.ts";
import { trainingGraph } from "../../models/gpt.ts";
import { parameterSpecs } from "../../models/parameter_specs.ts";
import { type MicroBatch, TrainableModel, type TrainableOptions } from "../../models/trainable.ts";
import { Adamw, gpt } from "./float64_gpt.ts";
import { assertClose, largest, OPERANDS, randomIds, randomParameters, withGpu } from "./support.ts";

const CONFIG = modelConfig({ n_layer: 1, n_head: 3, n_embd: 15, n_positions: 12, vocab_size: 31 });
const OPTIONS: TrainableOptions = {
  batch_size: 1,
  max_seq_length: 11,
  accumulate_grad_batches: 1,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-3,
  weight_decay: 0.1,
  grad_clip: 1,
  seed: 0,
};

function weightsOf(config: ModelConfig): Weights {
  const values = randomParameters(config);
  return new Map(parameters(config).map(({ name, shape }) => [name, { shape, data: values[name]! }]));
}

/** A batch of its own for every stream. */
function batch(rows: number, stream: number): MicroBatch {
  const [input_ids, targets] = [2 * stream, 2 * stream + 1].map((s) => randomIds(rows, s, CONFIG.vocab_size));
  targets![0] = IGNORE_TARGET;
  return { input_ids: input_ids!, targets: targets! };
}

function open(gpu: Gpu, changes: Partial<TrainableOptions> = {}, config = CONFIG): TrainableModel {
  const model = new TrainableModel(gpu, config, { ...OPTIONS, ...changes });
  model.load(weightsOf(config));
  return model;
}

const named = (weights: Weights) => Object.fromEntries([...weights].map(([name, { data }]) => [name, data]));

/** A rounding for each term of the longest sums on the way, as in `gpt_test.ts`. */
const ROUNDINGS = 4 * CONFIG.n_embd + CONFIG.vocab_size + 33;

Deno.test("micro-batches accumulate to the gradients of one large batch", async () => {
  const T = OPTIONS.max_seq_length;
  const micro = [1, 2, 3].map((stream) => batch(T, stream));
  const large: MicroBatch = { input_ids: new Uint32Array(3 * T), targets: new Uint32Array(3 * T) };
  micro.forEach(({ input_ids, targets }, i) => {
    large.input_ids.set(input_ids, i * T);
    large.targets.set(targets, i * T);
  });
  await withGpu({}, async (gpu) => {
    const p = randomParameters(CONFIG);
    const expected = gpt(CONFIG, { B: 3, T }, p, large.input_ids, large.targets);
    const cases: [Partial<TrainableOptions>, MicroBatch[]][] = [
      [{ accumulate_grad_batches: 3 }, micro],
      [{ batch_size: 3 }, [large]],
    ];
    for (const [changes, batches] of cases) {
      const model = open(gpu, changes);
      for (let step = 1; step <= 2; step++) { // the second step must not see the first one's gradients
        model.step(step, 0, batches);
        const [metrics] = await model.readMetrics();
        assertClose("loss", [metrics!.loss], [expected.loss], 64);
        const gradients = named(await model.weights("gradient"));
        for (const [name, data] of Object.entries(expected.gradients)) {
          assertClose(name, gradients[name]!, data, ROUNDINGS);
        }
      }
      model.destroy();
    }
  });
});

Deno.test("weights after several steps are AdamW's in float64", async () => {
  const T = OPTIONS.max_seq_length;
  const decays = new Map(parameters(CONFIG).map((p) => [p.name, p.decay]));
  const expected = new Adamw(randomParameters(CONFIG), OPTIONS, (name) => decays.get(name)!);
  await withGpu({}, async (gpu) => {
    const model = open(gpu);
    const rates = [0.01, 0.03, 0.02, 0.01];
    const losses: number[] = [], norms: number[] = [];
    rates.forEach((rate, i) => {
      const { input_ids, targets } = batch(T, i);
      model.step(i + 1, rate, [{ input_ids, targets }]);
      const { loss, gradients } = gpt(CONFIG, { B: 1, T }, expected.value, input_ids, targets);
      losses.push(loss);
      norms.push(expected.step(rate, gradients));
    });
    assert(norms.every((norm) => norm > OPTIONS.grad_clip), "clipping is at work");
    const metrics = await model.readMetrics();
    assert.deepEqual(metrics.map((m) => m.step), [1, 2, 3, 4]);
    // The gradients' rounding goes through m / (sqrt(v) + epsilon), and from there into the next step's gradients.
    const steps = rates.length * ROUNDINGS;
    assertClose("losses", metrics.map((m) => m.loss), losses, steps);
    assertClose("norms", metrics.map((m) => m.grad_norm), norms, steps);
    const weights = named(await model.weights());
    for (const [name, data] of Object.entries(expected.value)) {
      assertClose(name, weights[name]!, data, steps, largest(data) + rates.reduce((a, b) => a + b));
    }
    model.destroy();
  });
});

const DROPOUT: ModelConfig = { ...CONFIG, embd_pdrop: 0.1, resid_pdrop: 0.1, attn_pdrop: 0.1 };

/** Losses and weights after a few steps of a model with dropout. */
async function train(changes: Partial<TrainableOptions>, read: number[] = []): Promise<unknown> {
  return await withGpu({}, async (gpu) => {
    const model = open(gpu, { batch_size: 3, ...changes }, DROPOUT);
    const metrics = [];
    for (let step = 1; step <= 5; step++) {
      model.step(step, 0.01, [batch(33, step)]);
      if (read.includes(step)) metrics.push(model.readMetrics());
    }
    metrics.push(model.readMetrics());
    const result = { metrics: (await Promise.all(metrics)).flat(), weights: named(await model.weights()) };
    model.destroy();
    return result;
  });
}

Deno.test("the same seed gives the same bits, whenever metrics are read; another seed gives others", async () => {
  const first = await train({ seed: 1 });
  assert.deepEqual(await train({ seed: 1 }), first);
  assert.deepEqual(await train({ seed: 1 }, [2, 3]), first);
  assert.notDeepEqual(await train({ seed: 2 }), first);
});

Deno.test("metrics that nobody reads are not overwritten: the ring refuses", async () => {
  await withGpu({}, async (gpu) => {
    const model = open(gpu, { accumulate_grad_batches: 100 });
    const micro = Array.from({ length: 100 }, (_, i) => batch(OPTIONS.max_seq_length, i % 3));
    model.step(1, 0, micro);
    model.step(2, 0, micro);
    assert.throws(() => model.step(3, 0, micro), /metrics must be read/);
    const [first, second] = await model.readMetrics();
    assert.equal(first!.loss, second!.loss);
    model.step(3, 0, micro);
    assert.equal((await model.readMetrics())[0]!.loss, first!.loss);
    assert.throws(() => model.step(4, 0, []), /expected 100 micro-batches, got 0/);
    model.destroy();
  });
});

/** Counts what a device is asked to make from now on. */
function watchDevice(
  gpu: Gpu,
): { bytes: { buffers: Map<string, number>; textures: number }; made: string[] } {
  const { device } = gpu;
  const seen = { bytes: { buffers: new Map<string, number>(), textures: 0 }, made: [] as string[] };
  const wrap = <K extends keyof GPUDevice>(name: K, count: (descriptor: never) => void = () => {}) => {
    // deno-lint-ignore no-explicit-any
    const original = (device[name] as any).bind(device);
    Object.defineProperty(device, name, {
      configurable: true,
      value: (descriptor: never) => {
        seen.made.push(name);
        count(descriptor);
        return original(descriptor);
      },
    });
  };
  wrap("createBuffer", ({ size, label = "" }: GPUBufferDescriptor) => {
    seen.bytes.buffers.set(label, (seen.bytes.buffers.get(label) ?? 0) + size);
  });
  wrap("createTexture", ({ size }: GPUTextureDescriptor) => {
    const [width, height = 1] = [...size as Iterable<number>] as [number, number?];
    seen.bytes.textures += 16 * width * height;
  });
  for (
    const name of [
      "createBindGroup",
      "createComputePipeline",
      "createShaderModule",
      "createQuerySet",
    ] as const
  ) {
    wrap(name);
  }
  return seen;
}

for (const { name, options } of OPERANDS) {
  Deno.test(`a plan's memory is what its program allocates: ${name}`, async () => {
    await withGpu(options, (gpu) => {
      const specs = parameterSpecs(DROPOUT);
      const seen = watchDevice(gpu);
      const total = () => [...seen.bytes.buffers.values()].reduce((sum, n) => sum + n, seen.bytes.textures);
      for (const optimizer of OPTIMIZERS.toReversed()) {
        const other = total();
        const { layout } = new ParameterStore(gpu, specs, { training: true, optimizer });
        assert.equal(total() - other, 2 * layout.planeBytes + layout.stateBytes + layout.mirrorBytes);
      }
      const store = new ParameterStore(gpu, specs, { training: true });
      assert.equal(store.layout.stateBytes, 2 * store.layout.planeBytes); // AdamW's

      const graph = trainingGraph(DROPOUT, { B: 3, T: 11, micro_batches: 1, ring: 6 });
      const made = plan(graph, gpu, store.layout);
      const before = total();
      new Program(gpu, made, store, new KernelCache(gpu));
      const { activations, inputs, outputs, states } = made.memory;
      // Beside what the plan lists there are two small uniform buffers; sizes of arrays are rounded up to 16 bytes.
      const uniforms = 32 + 256 * made.dispatches.length;
      const rest = total() - before - uniforms - (activations + inputs + outputs + states);
      const arrays = [...graph.tensors].filter((t) => t.kind === "input").length + made.blocks.length;
      assert(rest >= 0 && rest < 16 * arrays, `${rest} bytes more than planned`);
    });
  });
}

Deno.test("a step makes nothing on the device", async () => {
  for (const accumulate_grad_batches of [1, 2]) {
    await withGpu({}, async (gpu) => {
      const model = open(gpu, { accumulate_grad_batches });
      const seen = watchDevice(gpu);
      for (let step = 1; step <= 4; step++) {
        model.step(step, 0.01, Array.from({ length: accumulate_grad_batches }, (_, i) => batch(11, i)));
        if (step % 2 === 0) await model.readMetrics();
      }
      assert.deepEqual(seen.made, []);
      model.destroy();
    });
  }
});

Deno.test("a model that was destroyed leaves the device usable", async () => {
  const gpu = await openGpu({});
  for (let i = 0; i < 2; i++) {
    const model = open(gpu);
    model.step(1, 0.01, [batch(11, 1)]);
    assert(Number.isFinite((await model.readMetrics())[0]!.loss));
    model.destroy();
  }
  gpu.check();
  gpu.close();
});

Deno.test("a step that is timed computes the same, and every kernel of it has a time and a half of the step", () =>
  withGpu({}, async (gpu) => {
    if (!gpu.hasTimestamps) return; // nothing to time with
    const micro = [1, 2].map((stream) => batch(OPTIONS.max_seq_length, stream));
    const [plain, timed] = [1, 2].map(() => open(gpu, { accumulate_grad_batches: 2 })) as [
      TrainableModel,
      TrainableModel,
    ];
    plain.step(1, 1e-2, micro);
    const kernels = await timed.timedStep(1, 1e-2, micro);
    assert.deepEqual(named(await timed.weights()), named(await plain.weights()));
    assert.deepEqual(await timed.readMetrics(), await plain.readMetrics());
    assert.deepEqual(kernels.map(({ label }) => label), timed.dispatches().map(({ label }) => label));

    // The loss comes last of the forward half; what computes the gradients of the weights is in the backward half.
    const phases = kernels.map(({ phase }) => phase ?? "optimizer");
    const order = phases.filter((phase, i) => phase !== phases[i - 1]);
    assert.deepEqual(order, ["forward", "backward", "optimizer"]);
    const backward = kernels.filter(({ phase }) => phase === "backward").map(({ label }) => label);
    assert.ok(backward.some((label) => label.startsWith("matmul TN")), backward.join("\n"));
    assert.ok(kernels.some(({ label, phase }) => label.startsWith("attention") && phase === "forward"));
    plain.destroy();
    timed.destroy();
  }));

Deno.test("a step's seconds by what for: forward and backward for each micro-batch, the optimizer once", () => {
  const kernel = { label: "", flops: 0, bytes: 0 };
  const times: KernelTime[] = [
    { ...kernel, phase: "forward", begin: 0, end: 1e9 },
    { ...kernel, phase: "backward", begin: 2e9, end: 4e9 },
    { ...kernel, phase: "forward", begin: 4e9, end: 4.5e9 },
    { ...kernel, phase: "backward", repeats: true, begin: 4.5e9, end: 5e9 },
    { ...kernel, begin: 5e9, end: 9e9 },
  ];
  assert.deepEqual(stepSeconds(times, 3), { forward: 4.5, backward: 7.5, recomputed: 1.5, optimizer: 4 });
  assert.deepEqual(stepSeconds([], 1), { forward: 0, backward: 0, recomputed: 0, optimizer: 0 });
});
