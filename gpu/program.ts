/**
 * A compiled program: memory, pipelines and bind groups of a plan, ready to be run step after step without deciding or
 * allocating anything.
 */

import type { Gpu } from "./device.ts";
import { type Tensor } from "./graph.ts";
import { type Bound, type KernelCache, type ReadyDispatch } from "./kernel.ts";
import type { Dispatch } from "./lower.ts";
import { packMatrix, unpackMatrix } from "./matrix.ts";
import type { ParameterStore } from "./parameters.ts";
import { arrayBytes, type Plan } from "./plan.ts";
import { encodePass, type Profiler } from "./profile.ts";
import { Readback, readBuffer } from "./readback.ts";
import {
  type BufferStorage,
  type Element,
  sliceBindings,
  type Storage,
  storageBytes,
  textureFormat,
} from "./storage.ts";

/** The uniform `step` of kernels (see `STEP_WGSL`). Fields left out are 0. */
export interface StepValues {
  /** Seed of the run, for dropout. */
  seed?: number;
  /** Counts micro-batches over the whole run, so that no two draw the same random numbers. */
  index?: number;
  /** Place in the ring of metrics where this micro-batch's loss goes. */
  slot?: number;
  /** Tokens that stand in the KV cache before this run. */
  position?: number;
  /** Row whose logits are wanted. */
  last?: number;
  learning_rate?: number;
  /** 1 - beta1^t and 1 - beta2^t. */
  correction1?: number;
  correction2?: number;
}

/** Fills the bytes of the uniform `step`. */
export function packStep(v: StepValues): ArrayBuffer {
  const bytes = new ArrayBuffer(32);
  new Uint32Array(bytes).set([v.seed ?? 0, v.index ?? 0, v.slot ?? 0, v.position ?? 0, v.last ?? 0]);
  new Float32Array(bytes).set([v.learning_rate ?? 0, v.correction1 ?? 1, v.correction2 ?? 1], 5);
  return bytes;
}

/** A plan with its device objects. */
export class Program {
  readonly plan: Plan;
  readonly #gpu: Gpu;
  readonly #ready: ReadyDispatch[];
  readonly #step: GPUBuffer;
  /** The uniforms of the steps of one submit. */
  #steps: GPUBuffer | undefined;
  readonly #views: GPUBuffer;
  readonly #buffers = new Map<Tensor, GPUBuffer>();
  readonly #textures = new Map<Tensor, GPUTexture>();
  readonly #owned: (GPUBuffer | GPUTexture)[] = [];
  readonly #readbacks = new Map<string, Readback>();

  /**
   * Allocates and compiles. Check `gpu.check()` after an await for errors of the device.
   *
   * @param states a program whose states (by name) this one shares, such as a KV cache that both fill
   */
  constructor(gpu: Gpu, plan: Plan, store: ParameterStore, kernels: KernelCache, states?: Program) {
    this.#gpu = gpu;
    this.plan = plan;
    this.#step = this.#buffer(32, GPUBufferUsage.UNIFORM, "step");
    this.#views = this.#buffer(Math.max(1, plan.dispatches.length) * 256, GPUBufferUsage.UNIFORM, "views");
    this.#allocate(states);
    this.#ready = plan.dispatches.map((dispatch, i) => this.#prepare(dispatch, i, store, kernels));
  }

  #buffer(size: number, usage: number, label: string): GPUBuffer {
    const buffer = this.#gpu.device.createBuffer({
      label,
      size: Math.ceil(size / 16) * 16,
      usage: usage | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    this.#owned.push(buffer);
    return buffer;
  }

  #texture(width: number, height: number, label: string, element: Element = "f32"): GPUTexture {
    const texture = this.#gpu.device.createTexture({
      label,
      size: [width, height],
      format: textureFormat(element),
      usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_SRC | GPUTextureUsage.COPY_DST,
    });
    this.#owned.push(texture);
    return texture;
  }

  #allocate(states?: Program): void {
    for (const block of this.plan.blocks) {
      const label = block.tensors[0]!.tensor.name;
      if (block.kind === "texture") {
        const texture = this.#texture(block.width, block.height, label, block.element);
        for (const { tensor } of block.tensors) this.#textures.set(tensor, texture);
      } else {
        const buffer = this.#buffer(block.bytes, GPUBufferUsage.STORAGE, label);
        for (const { tensor } of block.tensors) this.#buffers.set(tensor, buffer);
      }
    }
    for (const tensor of this.plan.graph.tensors) {
      if (tensor.kind === "input") {
        this.#buffers.set(tensor, this.#buffer(arrayBytes(tensor), GPUBufferUsage.STORAGE, tensor.name));
      }
      if (tensor.kind === "state") this.#allocateState(tensor, states);
      if (tensor.kind === "constant") this.#allocateConstant(tensor);
    }
  }

  #allocateConstant(tensor: Tensor): void {
    const storage = this.plan.storages.get(tensor);
    if (storage === undefined) return; // no kernel uses it
    const { queue } = this.#gpu.device;
    const data = packMatrix(
      this.plan.graph.constants.get(tensor)!,
      tensor.rows,
      tensor.cols,
      pitchOf(storage) * 4,
    );
    if (storage.kind === "buffer") {
      const buffer = this.#buffer(storageBytes(storage), GPUBufferUsage.STORAGE, tensor.name);
      queue.writeBuffer(buffer, 0, data);
      this.#buffers.set(tensor, buffer);
      return;
    }
    const { rows, cols, width, height } = storage;
    const texture = this.#texture(width, height, tensor.name);
    for (let first = 0; first < rows; first += height) {
      const part = data.subarray(first * cols * 4);
      const layout = { bytesPerRow: cols * 16 };
      queue.writeTexture({ texture, origin: [first / height * cols, 0] }, part, layout, [
        cols,
        Math.min(height, rows - first),
      ]);
    }
    this.#textures.set(tensor, texture);
  }

  #allocateState(tensor: Tensor, states?: Program): void {
    const storage = this.plan.storages.get(tensor);
    if (storage === undefined) return; // no kernel uses it
    const twin = states?.plan.graph.tensors.find((t) => t.kind === "state" && t.name === tensor.name);
    if (twin !== undefined) {
      if (storage.kind === "texture") this.#textures.set(tensor, states!.#textures.get(twin)!);
      else this.#buffers.set(tensor, states!.#buffers.get(twin)!);
    } else if (storage.kind === "texture") {
      this.#textures.set(tensor, this.#texture(storage.width, storage.height, tensor.name));
    } else {
      this.#buffers.set(tensor, this.#buffer(storageBytes(storage), GPUBufferUsage.STORAGE, tensor.name));
    }
  }

  #prepare(dispatch: Dispatch, index: number, store: ParameterStore, kernels: KernelCache): ReadyDispatch {
    const bound: Bound[] = [];
    if (dispatch.usesStep) bound.push({ kind: "uniform", resource: { buffer: this.#step } });
    if (dispatch.view !== undefined) {
      const { a_row, b_row, c_row, rows } = dispatch.view;
      this.#gpu.device.queue.writeBuffer(
        this.#views,
        index * 256,
        new Uint32Array([a_row, b_row, c_row, rows]),
      );
      bound.push({ kind: "uniform", resource: { buffer: this.#views, offset: index * 256, size: 16 } });
    }
    for (const { tensor, access, storage } of dispatch.args) {
      const mode = access === "read" ? "read" : "write";
      if (storage === undefined) {
        bound.push({ kind: mode, resource: { buffer: this.#buffers.get(tensor)! } });
      } else if (storage.kind === "texture") {
        const texture = tensor.kind === "parameter"
          ? store.mirror(tensor.name) as GPUTexture
          : this.#textures.get(tensor)!;
        bound.push({ kind: `texture-${mode}`, resource: texture });
      } else {
        const slices = sliceBindings(storage, this.#place(tensor, store));
        bound.push(...slices.map((resource): Bound => ({ kind: mode, resource })));
      }
    }
    const { label, name, phase, repeats, code, workgroups, flops, bytes } = dispatch;
    return {
      ...kernels.prepare({ label: `${label} | ${name}`, code, bound, workgroups, flops, bytes }),
      phase,
      repeats,
    };
  }

  /** The buffer and byte offset where a matrix starts. */
  #place(tensor: Tensor, store: ParameterStore): { buffer: GPUBuffer; offset: number } {
    const parameter = tensor.target ?? (tensor.kind === "parameter" ? tensor : undefined);
    if (parameter === undefined) return { buffer: this.#buffers.get(tensor)!, offset: 0 };
    const mirror = tensor.target === undefined ? store.mirror(parameter.name) : undefined;
    if (mirror !== undefined) return { buffer: mirror as GPUBuffer, offset: 0 };
    const plane = tensor.target === undefined ? "value" : "gradient";
    return { buffer: store.buffer(parameter.name, plane), offset: store.slot(parameter.name).offset };
  }

  /** Writes an input array. Takes effect at the next submit. */
  write(name: string, data: Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>): void {
    const tensor = this.#input(name);
    if (data.byteLength !== arrayBytes(tensor)) {
      throw new Error(`input ${name}: expected ${arrayBytes(tensor)} bytes, got ${data.byteLength}`);
    }
    this.#gpu.device.queue.writeBuffer(this.#buffers.get(tensor)!, 0, data);
  }

  /** Sets the uniform `step` for the next run. */
  setStep(values: StepValues): void {
    this.#gpu.device.queue.writeBuffer(this.#step, 0, packStep(values));
  }

  /** The dispatches in their order, for profiles. */
  get dispatches(): ReadyDispatch[] {
    return this.#ready;
  }

  /** Records all dispatches. */
  encode(encoder: GPUCommandEncoder, profiler?: Profiler): void {
    encodePass(encoder, this.#ready, profiler);
  }

  /** Records and submits all dispatches. Does not wait. */
  run(profiler?: Profiler): void {
    const encoder = this.#gpu.device.createCommandEncoder();
    this.encode(encoder, profiler);
    this.#gpu.device.queue.submit([encoder.finish()]);
    profiler?.submitted();
  }

  /**
   * Records and submits all dispatches once for each of several steps, one after the other. Does not wait.
   *
   * @param input words of an input array that are set before a step, whatever the steps before wrote there
   */
  runSteps(
    steps: StepValues[],
    input?: { name: string; values: { step: number; at: number; value: number }[] },
  ): void {
    const { device } = this.#gpu;
    const { values = [] } = input ?? {};
    const bytes = new Uint8Array(steps.length * 32 + values.length * 4);
    steps.forEach((step, i) => bytes.set(new Uint8Array(packStep(step)), i * 32));
    new Uint32Array(bytes.buffer, steps.length * 32).set(values.map(({ value }) => value));
    if (this.#steps === undefined || this.#steps.size < bytes.length) {
      this.#steps = this.#buffer(bytes.length, 0, "steps");
    }
    device.queue.writeBuffer(this.#steps, 0, bytes);
    const encoder = device.createCommandEncoder();
    for (const i of steps.keys()) {
      encoder.copyBufferToBuffer(this.#steps, i * 32, this.#step, 0, 32);
      values.forEach(({ step, at }, v) => {
        if (step !== i) return;
        const target = this.inputBuffer(input!.name);
        encoder.copyBufferToBuffer(this.#steps!, steps.length * 32 + v * 4, target, at * 4, 4);
      });
      this.encode(encoder);
    }
    device.queue.submit([encoder.finish()]);
  }

  /** The buffer of an input, for kernels that fill it on the device. */
  inputBuffer(name: string): GPUBuffer {
    return this.#buffers.get(this.#input(name))!;
  }

  #input(name: string): Tensor {
    const tensor = this.plan.graph.tensors.find((t) => t.kind === "input" && t.name === name);
    if (tensor === undefined) throw new Error(`no input named ${name}`);
    return tensor;
  }

  /** The buffer of an output, for copies on the device. */
  outputBuffer(name: string): GPUBuffer {
    return this.#buffers.get(this.#output(name))!;
  }

  #output(name: string): Tensor {
    const tensor = this.plan.graph.outputs.get(name);
    if (tensor === undefined) throw new Error(`no output named ${name}`);
    return tensor;
  }

  /** Reads an output: logical elements, row after row. Waits for the device. */
  async read(name: string): Promise<Float32Array<ArrayBuffer>> {
    const tensor = this.#output(name);
    let readback = this.#readbacks.get(name);
    const storage = this.plan.storages.get(tensor) as BufferStorage | undefined;
    const size = storage === undefined ? arrayBytes(tensor) : storageBytes(storage);
    if (size > 1 << 22) {
      return this.#unpack(tensor, await readBuffer(this.#gpu, this.outputBuffer(name), 0, size));
    }
    if (readback === undefined) {
      readback = await Readback.create(this.#gpu, size);
      this.#readbacks.set(name, readback);
    }
    return this.#unpack(tensor, await readback.read(this.outputBuffer(name)));
  }

  #unpack(tensor: Tensor, bytes: ArrayBuffer): Float32Array<ArrayBuffer> {
    const storage = this.plan.storages.get(tensor) as BufferStorage | undefined;
    if (storage === undefined) return new Float32Array(bytes);
    return unpackMatrix(new Float32Array(bytes), tensor.rows, tensor.cols, storage.pitch * 4);
  }

  /** Frees everything that the program owns; the parameter store stays. */
  destroy(): void {
    for (const owned of this.#owned) owned.destroy();
    for (const readback of this.#readbacks.values()) readback.destroy();
  }
}

/** vec4s from one row of a matrix to the next, before the rows of a texture are folded. */
function pitchOf(storage: Storage): number {
  return storage.kind === "buffer" ? storage.pitch : storage.cols;
}
