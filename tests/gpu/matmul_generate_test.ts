/**
 * The generated matmul kernels against float64 sums, on sizes that are no multiple of anything, with operands in
 * storage textures and in buffers. Accessors and epilogues are written here by hand; the engine's own are not used.
 */

import assert from "assert";
import { defaultTiles } from "../../gpu/kernels/matmul/defaults.ts";
import { generateMatmul } from "../../gpu/kernels/matmul/generate.ts";
import { type GpuVendor, gpuVendor } from "../../gpu/vendor.ts";
import type { MatmulMode, MatmulSpec, MatmulTile } from "../../gpu/kernels/matmul/spec.ts";

type Storage = "texture" | "buffer";

/** Uniform numbers in [-1, 1) from a fixed seed (mulberry32). */
function randomFloats(count: number, seed: number): Float32Array<ArrayBuffer> {
  return new Float32Array(count).map(() => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  });
}

/** What a kernel is given beside its spec. */
interface Case {
  spec: MatmulSpec;
  tile: MatmulTile;
  storage: Storage;
  /** For `dynamic_rows`: first row of A and of C, and how many. */
  view?: { first: number; rows: number };
}

/** Runs one case and returns C (slices added up) and the column sums of B. */
async function run(device: GPUDevice, { spec, tile, storage, view }: Case, a: Float32Array, b: Float32Array) {
  const { mode, M, N, K } = spec;
  const splits = spec.splits ?? 1;
  const kernel = generateMatmul(spec, tile);
  const rowsA = mode === "TN" ? K : M, rowsB = mode === "NT" ? N : K;
  const pitchA = a.length / rowsA / 4, pitchB = b.length / rowsB / 4;
  const first = view?.first ?? 0;
  const declare = (index: number, name: string, pitch: number) => {
    const row = name === "a" && spec.dynamic_rows ? "row + view.first" : "row";
    return storage === "texture"
      ? `@group(0) @binding(${index}) var ${name}: texture_storage_2d<rgba32float, read>;
fn load_${name}(row: u32, col: u32) -> vec4f { return textureLoad(${name}, vec2u(col, ${row})); }`
      : `@group(0) @binding(${index}) var<storage, read> ${name}: array<vec4f>;
fn load_${name}(row: u32, col: u32) -> vec4f { return ${name}[(${row}) * ${pitch}u + col]; }`;
  };
  const code = `struct View { first: u32, rows: u32 }
@group(0) @binding(4) var<uniform> view: View;
${declare(0, "a", pitchA)}
${declare(1, "b", pitchB)}
@group(0) @binding(2) var<storage, read_write> c: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> s: array<vec4f>;
fn start(col: u32) -> vec4f { return vec4f(0.5 * f32(col)); }
fn finish(row: u32, col: u32, v: vec4f) { c[(row + view.first) * ${N / 4}u + col] = v; }
fn finish_split(slice: u32, row: u32, col: u32, v: vec4f) { c[(slice * ${M}u + row) * ${N / 4}u + col] = v; }
fn finish_bias(col: u32, v: vec4f) { s[col] = v; }
fn finish_bias_split(slice: u32, col: u32, v: vec4f) { s[slice * ${N / 4}u + col] = v; }
${kernel.code}`;

  const operand = (data: Float32Array, rows: number): GPUTexture | GPUBuffer => {
    if (storage === "buffer") {
      const buffer = device.createBuffer({
        size: data.byteLength,
        usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
      });
      device.queue.writeBuffer(buffer, 0, data as Float32Array<ArrayBuffer>);
      return buffer;
    }
    const width = data.length / rows / 4;
    const texture = device.createTexture({
      size: [width, rows],
      format: "rgba32float",
      usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST,
    });
    device.queue.writeTexture({ texture }, data as Float32Array<ArrayBuffer>, { bytesPerRow: width * 16 }, [
      width,
      rows,
    ]);
    return texture;
  };
  const result = (floats: number) => {
    const buffer = device.createBuffer({
      size: floats * 4,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    device.queue.writeBuffer(buffer, 0, new Float32Array(floats).fill(-77)); // what nobody wrote shows
    return buffer;
  };
  const entry = (binding: number, type: "operand" | GPUBufferBindingType): GPUBindGroupLayoutEntry => ({
    binding,
    visibility: GPUShaderStage.COMPUTE,
    ...(type !== "operand"
      ? { buffer: { type } }
      : storage === "buffer"
      ? { buffer: { type: "read-only-storage" } }
      : { storageTexture: { access: "read-only", format: "rgba32float" } }),
  });
  const layout = device.createBindGroupLayout({
    entries: [
      entry(0, "operand"),
      entry(1, "operand"),
      entry(2, "storage"),
      entry(3, "storage"),
      entry(4, "uniform"),
    ],
  });
  const operands = [operand(a, rowsA), operand(b, rowsB)];
  const c = result(splits * M * N), s = result(splits * N);
  const uniform = device.createBuffer({ size: 16, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
  device.queue.writeBuffer(uniform, 0, new Uint32Array([first, view?.rows ?? M, 0, 0]));

  device.pushErrorScope("validation");
  const pipeline = device.createComputePipeline({
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module: device.createShaderModule({ code }), entryPoint: "main" },
  });
  const group = device.createBindGroup({
    layout,
    entries: [
      ...operands.map((o, binding) => ({
        binding,
        resource: o instanceof GPUTexture ? o.createView() : { buffer: o },
      })),
      ...[c, s, uniform].map((buffer, i) => ({ binding: 2 + i, resource: { buffer } })),
    ],
  });
  const staging = device.createBuffer({
    size: c.size + s.size,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(kernel.grid.x, kernel.grid.y, kernel.grid.z);
  pass.end();
  encoder.copyBufferToBuffer(c, 0, staging, 0, c.size);
  encoder.copyBufferToBuffer(s, 0, staging, c.size, s.size);
  device.queue.submit([encoder.finish()]);
  const error = await device.popErrorScope();
  assert.equal(error, null, error?.message);
  await staging.mapAsync(GPUMapMode.READ);
  const all = new Float32Array(staging.getMappedRange().slice(0));
  staging.unmap();
  for (const resource of [...operands, c, s, uniform, staging]) resource.destroy();
  const add = (parts: Float32Array, size: number) =>
    Float32Array.from({ length: size }, (_, i) => {
      let sum = parts[i]!;
      for (let slice = 1; slice < splits; slice++) sum += parts[slice * size + i]!;
      return sum;
    });
  return { c: add(all.subarray(0, splits * M * N), M * N), s: add(all.subarray(splits * M * N), N) };
}

/** Runs one case and compares it with float64. */
async function check(device: GPUDevice, test: Case) {
  const { mode, M, N, K, row_sum_b } = test.spec;
  const a = randomFloats(M * K, M + 31 * K), b = randomFloats(K * N, N + 17 * K);
  const { c, s } = await run(device, test, a, b);
  const name = JSON.stringify(test);
  const first = test.view?.first ?? 0, rows = test.view?.rows ?? M;
  for (let m = 0; m < M; m++) {
    for (let n = 0; n < N; n++) {
      let expected = -77;
      if (m >= first && m < first + rows) {
        expected = test.spec.start ? 0.5 * Math.floor(n / 4) : 0;
        for (let k = 0; k < K; k++) {
          expected += a[mode === "TN" ? k * M + m : m * K + k]! * b[mode === "NT" ? n * K + k : k * N + n]!;
        }
      }
      const actual = c[m * N + n]!;
      assert.ok(
        Math.abs(actual - expected) <= 2e-6 * Math.sqrt(K) + 1e-6,
        `${name}: C[${m}, ${n}] ${actual} ${expected}`,
      );
    }
  }
  for (let n = 0; row_sum_b && n < N; n++) {
    let expected = 0;
    for (let k = 0; k < K; k++) expected += b[k * N + n]!;
    assert.ok(Math.abs(s[n]! - expected) <= 2e-6 * K, `${name}: column sum ${n}: ${s[n]} ${expected}`);
  }
}

/** A physical shape for a mode: rounds up what must be a multiple of 4. */
function shape(mode: MatmulMode, M: number, N: number, K: number): MatmulSpec {
  const up = (x: number) => Math.ceil(x / 4) * 4;
  return mode === "TN" ? { mode, M: up(M), N: up(N), K } : { mode, M, N: up(N), K: up(K) };
}

/** Calls `body` with a device of its own and its subgroup size, 0 where that is unknown or varies. */
async function withDevice(body: (device: GPUDevice, lanes: number) => Promise<void>) {
  const adapter = await navigator.gpu.requestAdapter();
  assert.ok(adapter, "no WebGPU adapter");
  const subgroups = ["subgroups" as GPUFeatureName]; // granted by wgpu though Deno does not list it
  const device = await adapter.requestDevice({ requiredFeatures: subgroups }).catch(() => undefined);
  const info = adapter.info as GPUAdapterInfo & { subgroupMinSize: number; subgroupMaxSize: number };
  const lanes = device && info.subgroupMinSize === info.subgroupMaxSize ? info.subgroupMinSize : 0;
  const opened = device ?? await adapter.requestDevice();
  try {
    await body(opened, lanes);
  } finally {
    opened.destroy();
  }
}

const MODES: MatmulMode[] = ["NN", "NT", "TN"];
const DIRECT: MatmulTile = { form: "direct", tile_m: 8, tile_n: 8, k_unroll: 4, workgroup: [16, 1] };
const SHARED: MatmulTile = { form: "shared", tile_m: 4, tile_n: 4, k_unroll: 16, workgroup: [16, 16] };

Deno.test("generateMatmul() direct form agrees with float64 on odd shapes", async () => {
  await withDevice(async (device) => {
    const shapes = [[1, 1, 1], [1, 4, 8], [7, 13, 5], [17, 129, 67], [129, 12, 31], [33, 260, 4]] as const;
    for (const mode of MODES) {
      for (const [M, N, K] of shapes) {
        await check(device, { spec: shape(mode, M, N, K), tile: DIRECT, storage: "texture" });
      }
      await check(device, { spec: shape(mode, 67, 41, 23), tile: DIRECT, storage: "buffer" });
    }
  });
});

Deno.test("generateMatmul() direct form takes any tile, unroll, block and workgroup", async () => {
  await withDevice(async (device) => {
    for (const mode of MODES) {
      const tiles: MatmulTile[] = [
        { ...DIRECT, tile_m: 16, block: [4, 8], k_unroll: 8 },
        { ...DIRECT, tile_m: 4, tile_n: 16, block: [4, 4], workgroup: [8, 2] },
        ...(mode === "TN" ? [{ ...DIRECT, k_unroll: 3 }] : [{ ...DIRECT, tile_m: 3, tile_n: 4 }]),
      ];
      for (const tile of tiles) {
        await check(device, { spec: shape(mode, 35, 77, 29), tile, storage: "texture" });
      }
    }
  });
});

Deno.test("generateMatmul() broadcast form agrees with float64 on odd shapes, where subgroups are of one size", async () => {
  await withDevice(async (device, lanes) => {
    if (lanes === 0) return;
    const tile: MatmulTile = { ...DIRECT, form: "broadcast", workgroup: [lanes, 1] };
    const variants: MatmulTile[] = [
      { ...tile, tile_m: 16, block: [2, 8] },
      { ...tile, tile_m: 32, tile_n: 4, block: [2, 4], k_unroll: 8, workgroup: [lanes, 2] },
    ];
    for (const mode of MODES) {
      for (const [M, N, K] of [[1, 1, 1], [17, 129, 67], [129, 12, 31], [33, 260, 4]] as const) {
        await check(device, { spec: shape(mode, M, N, K), tile, storage: "texture" });
      }
      for (const variant of variants) {
        await check(device, { spec: shape(mode, 67, 141, 45), tile: variant, storage: "buffer" });
      }
      await check(device, { spec: { ...shape(mode, 19, 21, 77), splits: 3 }, tile, storage: "texture" });
    }
    const summed = { ...shape("TN", 20, 76, 53), row_sum_b: true };
    await check(device, { spec: summed, tile, storage: "texture" });
    const viewed = { ...shape("NN", 50, 20, 12), dynamic_rows: true };
    await check(device, { spec: viewed, tile, storage: "texture", view: { first: 13, rows: 26 } });
  });
});

Deno.test("generateMatmul() shared form agrees with float64 on odd shapes", async () => {
  await withDevice(async (device) => {
    const large: MatmulTile = { ...SHARED, tile_m: 8, tile_n: 8, workgroup: [8, 8] };
    for (const mode of MODES) {
      await check(device, { spec: shape(mode, 1, 1, 1), tile: SHARED, storage: "buffer" });
      await check(device, { spec: shape(mode, 67, 129, 37), tile: SHARED, storage: "buffer" });
      await check(device, { spec: shape(mode, 67, 41, 48), tile: large, storage: "texture" });
    }
  });
});

Deno.test("generateMatmul() slices of K add up, also when some are short or empty", async () => {
  await withDevice(async (device) => {
    for (const mode of MODES) {
      for (const tile of [DIRECT, SHARED]) {
        await check(device, { spec: { ...shape(mode, 19, 21, 77), splits: 3 }, tile, storage: "texture" });
        await check(device, { spec: { ...shape(mode, 5, 8, 6), splits: 4 }, tile, storage: "texture" });
      }
    }
  });
});

Deno.test("generateMatmul() row_sum_b sums B's columns beside the product", async () => {
  await withDevice(async (device) => {
    for (const tile of [DIRECT, { ...DIRECT, k_unroll: 3 }, SHARED]) {
      await check(device, {
        spec: { ...shape("TN", 20, 76, 53), row_sum_b: true },
        tile,
        storage: "texture",
      });
      await check(device, {
        spec: { ...shape("TN", 20, 76, 53), row_sum_b: true, splits: 2 },
        tile,
        storage: "texture",
      });
    }
  });
});

Deno.test("generateMatmul() start is what the sums begin with", async () => {
  await withDevice(async (device, lanes) => {
    const tiles = [DIRECT, SHARED];
    if (lanes > 0) tiles.push({ ...DIRECT, form: "broadcast", workgroup: [lanes, 1] });
    for (const tile of tiles) {
      for (const mode of MODES) {
        await check(device, { spec: { ...shape(mode, 19, 70, 13), start: true }, tile, storage: "texture" });
      }
    }
  });
});

Deno.test("generateMatmul() dynamic_rows keeps to the rows of the view", async () => {
  await withDevice(async (device) => {
    for (const mode of ["NN", "NT"] as const) {
      for (const tile of [DIRECT, SHARED]) {
        const spec = { ...shape(mode, 50, 20, 12), dynamic_rows: true };
        await check(device, { spec, tile, storage: "texture", view: { first: 13, rows: 26 } });
      }
    }
  });
});

Deno.test("generateMatmul() refuses what it cannot do", () => {
  const refused = (spec: MatmulSpec, tile: MatmulTile, message: RegExp) =>
    assert.throws(() => generateMatmul(spec, tile), message);
  refused({ mode: "NN", M: 4, N: 5, K: 4 }, DIRECT, /N must be a multiple of 4/);
  refused({ mode: "NT", M: 4, N: 4, K: 5 }, DIRECT, /K must be a multiple of 4/);
  refused({ mode: "TN", M: 5, N: 4, K: 5 }, DIRECT, /M must be a multiple of 4/);
  refused({ mode: "NN", M: 4, N: 4, K: 4, row_sum_b: true }, DIRECT, /row_sum_b/);
  refused({ mode: "NN", M: 4, N: 4, K: 4, start: true, splits: 2 }, DIRECT, /start needs splits 1/);
  refused({ mode: "TN", M: 4, N: 4, K: 500_000 }, DIRECT, /loop trips/);
});

Deno.test("every maker's default tiles fit the least limits of WebGPU and compute what float64 does", async () => {
  const names = {
    nvidia: "NVIDIA GeForce",
    amd: "AMD Radeon",
    intel: "Intel Arc",
    apple: "Apple M2",
    other: "?",
  };
  const tiles = new Map<string, MatmulTile>();
  for (const [vendor, name] of Object.entries(names) as [GpuVendor, string][]) {
    assert.equal(gpuVendor({ name, vendor: "" }), vendor);
    for (const side of [64, 1024]) { // a small product and a large one
      const tile = defaultTiles("NN", side, side, 64, "gpu", false, vendor);
      const [x, y] = tile.workgroup;
      assert.ok(x * y <= 256 && 4 * tile.k_unroll * (tile.tile_m * y + tile.tile_n * x) <= 16384);
      tiles.set(JSON.stringify(tile), tile);
    }
  }
  await withDevice(async (device) => {
    for (const [i, tile] of [...tiles.values()].entries()) { // the modes in turn
      await check(device, { spec: shape(MODES[i % 3]!, 37, 43, 29), tile, storage: "buffer" });
    }
  });
});

Deno.test("defaultTiles() gives a valid tile for every mode, profile and size", () => {
  for (const profile of ["llvmpipe512", "llvmpipe256", "gpu"] as const) {
    for (const mode of MODES) {
      for (const [M, N, K] of [[1, 1, 1], [1, 50257, 768], [768, 128, 128], [2048, 1536, 384]] as const) {
        for (const subgroups of [true, false]) {
          const spec = shape(mode, M, N, K);
          const tile = defaultTiles(mode, spec.M, spec.N, spec.K, profile, subgroups);
          const { grid, flops } = generateMatmul(spec, tile);
          assert.ok(grid.x >= 1 && grid.x <= 65535 && grid.y <= 65535 && flops > 0);
        }
      }
    }
  }
});
