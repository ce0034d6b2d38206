/** Causal attention in float64, and a small runner that gives a generated kernel hand-written accessors. */

/** The 4-word hash of Jarzynski & Olano, "Hash Functions for GPU Rendering" (2020), as WGSL. */
export const random4 = `
fn random4(a: vec4u) -> vec4u {
  var v = a * 1664525u + 1013904223u;
  v.x += v.y * v.w; v.y += v.z * v.x; v.z += v.x * v.y; v.w += v.y * v.z;
  v ^= v >> vec4u(16u);
  v.x += v.y * v.w; v.y += v.z * v.x; v.z += v.x * v.y; v.w += v.y * v.z;
  return v;
}
`;

/** `random4` on the host. */
export function hash4(a: readonly [number, number, number, number]): number[] {
  let [x, y, z, w] = a.map((n) => (Math.imul(n, 1664525) + 1013904223) >>> 0) as [
    number,
    number,
    number,
    number,
  ];
  const mix = () => {
    x = (x + Math.imul(y, w)) >>> 0;
    y = (y + Math.imul(z, x)) >>> 0;
    z = (z + Math.imul(x, y)) >>> 0;
    w = (w + Math.imul(y, z)) >>> 0;
  };
  mix();
  [x, y, z, w] = [x ^ (x >>> 16), y ^ (y >>> 16), z ^ (z >>> 16), w ^ (w >>> 16)].map((n) => n >>> 0) as [
    number,
    number,
    number,
    number,
  ];
  mix();
  return [x, y, z, w];
}

/** Values in [-scale, scale), a pure function of the seed. */
export function randomArray(length: number, seed: number, scale = 1): Float32Array {
  return Float32Array.from({ length }, (_, i) => (hash4([seed, i, 1, 2])[0]! / 2 ** 31 - 1) * scale);
}

type Shape = { B: number; T: number; H: number; hd: number };

/** Padded [rows, parts*H*D*4] with zero in the lanes that pad a head. */
export function randomHeads(rows: number, heads: number, hd: number, seed: number, scale = 1): Float32Array {
  const width = 4 * Math.ceil(hd / 4);
  const out = randomArray(rows * heads * width, seed, scale);
  return out.map((x, i) => i % width < hd ? x : 0);
}

/** Forward and backward of causal attention with P multiplied by `mask(b*H + h, i, j)` after the softmax. */
export function attentionReference(
  { B, T, H, hd }: Shape,
  qkv: Float32Array, // [B*T, 3*H*width]
  dy: Float32Array, // [B*T, H*width]
  mask: (headRow: number, i: number, j: number) => number = () => 1,
) {
  const width = 4 * Math.ceil(hd / 4);
  const y = new Float64Array(B * T * H * width);
  const dqkv = new Float64Array(B * T * 3 * H * width);
  const lse = new Float64Array(B * H * T);
  const delta = new Float64Array(B * H * T);
  const scale = 1 / Math.sqrt(hd);
  for (let b = 0; b < B; b++) {
    for (let h = 0; h < H; h++) {
      const at = (part: number, t: number) => ((b * T + t) * 3 * H + part * H + h) * width;
      const out = (t: number) => ((b * T + t) * H + h) * width;
      const row = b * H + h;
      for (let i = 0; i < T; i++) {
        const p = new Float64Array(i + 1);
        let max = -1e300, sum = 0;
        for (let j = 0; j <= i; j++) {
          for (let d = 0; d < hd; d++) p[j]! += qkv[at(0, i) + d]! * qkv[at(1, j) + d]! * scale;
          max = Math.max(max, p[j]!);
        }
        for (let j = 0; j <= i; j++) sum += Math.exp(p[j]! - max);
        lse[row * T + i] = max + Math.log(sum);
        const dp = new Float64Array(i + 1);
        for (let j = 0; j <= i; j++) {
          p[j] = Math.exp(p[j]! - max) / sum;
          const keep = mask(row, i, j);
          for (let d = 0; d < hd; d++) {
            y[out(i) + d]! += p[j]! * keep * qkv[at(2, j) + d]!;
            dp[j]! += keep * dy[out(i) + d]! * qkv[at(2, j) + d]!;
            dqkv[at(2, j) + d]! += p[j]! * keep * dy[out(i) + d]!;
          }
        }
        let rowDelta = 0;
        for (let j = 0; j <= i; j++) rowDelta += p[j]! * dp[j]!;
        delta[row * T + i] = rowDelta;
        for (let j = 0; j <= i; j++) {
          const ds = p[j]! * (dp[j]! - rowDelta) * scale;
          for (let d = 0; d < hd; d++) {
            dqkv[at(0, i) + d]! += ds * qkv[at(1, j) + d]!;
            dqkv[at(1, j) + d]! += ds * qkv[at(0, i) + d]!;
          }
        }
      }
    }
  }
  return { y, dqkv, lse, delta };
}

/** A matrix on the device: a storage texture or a buffer of vec4s. */
export type DeviceMatrix = {
  /** Rows. */
  rows: number;
  /** Columns in vec4s. */
  cols: number;
  /** Where it lives. */
  resource: GPUTexture | GPUBuffer;
};

/** A matrix of `rows` x `cols` vec4s, filled with `data` or zero. */
export function matrix(
  device: GPUDevice,
  kind: "texture" | "buffer",
  rows: number,
  cols: number,
  data?: Float32Array<ArrayBufferLike>,
): DeviceMatrix {
  const bytes = data && new Float32Array(data);
  if (kind === "texture") {
    const resource = device.createTexture({
      size: [cols, rows],
      format: "rgba32float",
      usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST | GPUTextureUsage.COPY_SRC,
    });
    if (bytes) {
      device.queue.writeTexture({ texture: resource }, bytes, { bytesPerRow: cols * 16 }, [cols, rows]);
    }
    return { rows, cols, resource };
  }
  const resource = device.createBuffer({
    size: rows * cols * 16,
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
  });
  if (bytes) device.queue.writeBuffer(resource, 0, bytes);
  return { rows, cols, resource };
}

/** The values of a matrix, row by row. */
export async function readMatrix(
  device: GPUDevice,
  { rows, cols, resource }: DeviceMatrix,
): Promise<Float32Array> {
  const stride = Math.ceil((cols * 16) / 256) * 256;
  const texture = !("mapState" in resource);
  const size = texture ? rows * stride : rows * cols * 16;
  const staging = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  if (texture) {
    encoder.copyTextureToBuffer({ texture: resource }, { buffer: staging, bytesPerRow: stride }, [
      cols,
      rows,
    ]);
  } else {
    encoder.copyBufferToBuffer(resource, 0, staging, 0, size);
  }
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const all = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  if (!texture) return all;
  const out = new Float32Array(rows * cols * 4);
  for (let r = 0; r < rows; r++) {
    out.set(all.subarray((r * stride) / 4, (r * stride) / 4 + cols * 4), r * cols * 4);
  }
  return out;
}

/** A kernel that is ready to run. */
export type ReadyKernel = {
  /** Its pipeline. */
  pipeline: GPUComputePipeline;
  /** Its bindings. */
  group: GPUBindGroup;
  /** Its dispatch. */
  workgroups: { x: number; y: number; z: number };
};

/** Declares `loads` and `stores` around a kernel's text, with `uniform step`, and compiles it. */
export async function ready(
  device: GPUDevice,
  kernel: { code: string; workgroups: { x: number; y: number; z: number } },
  loads: Record<string, DeviceMatrix>,
  stores: Record<string, DeviceMatrix>,
  step = { seed: 0, index: 0, position: 0 },
): Promise<ReadyKernel> {
  let prelude = `struct Step { seed: u32, index: u32, position: u32, unused: u32 }
@group(0) @binding(0) var<uniform> step: Step;
${random4}`;
  const uniform = device.createBuffer({ size: 16, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
  device.queue.writeBuffer(uniform, 0, new Uint32Array([step.seed, step.index, step.position, 0]));
  const layout: GPUBindGroupLayoutEntry[] = [
    { binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: "uniform" } },
  ];
  const entries: GPUBindGroupEntry[] = [{ binding: 0, resource: { buffer: uniform } }];
  const all = [
    ...Object.entries(loads).map(([name, m]) => ({ name, m, store: false })),
    ...Object.entries(stores).map(([name, m]) => ({ name, m, store: true })),
  ];
  for (const [index, { name, m, store }] of all.entries()) {
    const binding = index + 1;
    const buffer = "mapState" in m.resource;
    const at = `@group(0) @binding(${binding}) var`;
    if (buffer) {
      prelude += `${at}<storage, ${store ? "read_write" : "read"}> ${name}: array<vec4f>;\n`;
    } else {
      prelude += `${at} ${name}: texture_storage_2d<rgba32float, ${store ? "write" : "read"}>;\n`;
    }
    prelude += store
      ? `fn store_${name}(row: u32, col: u32, v: vec4f) { ${
        buffer ? `${name}[row * ${m.cols}u + col] = v` : `textureStore(${name}, vec2u(col, row), v)`
      }; }\n`
      : `fn load_${name}(row: u32, col: u32) -> vec4f { return ${
        buffer ? `${name}[row * ${m.cols}u + col]` : `textureLoad(${name}, vec2u(col, row))`
      }; }\n`;
    layout.push({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      ...(buffer
        ? { buffer: { type: store ? "storage" : "read-only-storage" } }
        : { storageTexture: { access: store ? "write-only" : "read-only", format: "rgba32float" } }),
    });
    entries.push({
      binding,
      resource: buffer ? { buffer: m.resource as GPUBuffer } : (m.resource as GPUTexture).createView(),
    });
  }
  const bindGroupLayout = device.createBindGroupLayout({ entries: layout });
  const pipeline = await device.createComputePipelineAsync({
    layout: device.createPipelineLayout({ bindGroupLayouts: [bindGroupLayout] }),
    compute: { module: device.createShaderModule({ code: prelude + kernel.code }), entryPoint: "main" },
  });
  const group = device.createBindGroup({ layout: bindGroupLayout, entries });
  return { pipeline, group, workgroups: kernel.workgroups };
}

/** Runs kernels one after the other, all `times` times, in one submit. */
export function run(device: GPUDevice, kernels: ReadyKernel[], times = 1): void {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  for (let i = 0; i < times; i++) {
    for (const { pipeline, group, workgroups } of kernels) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(workgroups.x, workgroups.y, workgroups.z);
    }
  }
  pass.end();
  device.queue.submit([encoder.finish()]);
}

/** A device for tests, destroyed by the caller; its validation errors are collected in `errors`. */
export async function testDevice(): Promise<{ device: GPUDevice; errors: string[] }> {
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) throw new Error("no WebGPU adapter");
  const { maxStorageTexturesPerShaderStage } = adapter.limits;
  const device = await adapter.requestDevice({ requiredLimits: { maxStorageTexturesPerShaderStage } });
  const errors: string[] = [];
  device.addEventListener("uncapturederror", (event) => errors.push(event.error.message));
  return { device, errors };
}

/** Largest |x - reference| over the largest |reference|. */
export function relativeError(x: ArrayLike<number>, reference: ArrayLike<number>): number {
  let worst = 0, largest = 1e-30;
  for (let i = 0; i < reference.length; i++) {
    largest = Math.max(largest, Math.abs(reference[i]!));
    const error = Math.abs(x[i]! - reference[i]!);
    worst = error <= worst ? worst : error; // NaN counts as the worst
  }
  return worst / largest;
}
