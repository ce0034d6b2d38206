/**
 * Where each parameter stands in the parameter store, known before anything is allocated. Those that an optimizer treats
 * alike share chunks, so that it runs over whole ranges; what is frozen stands apart and has no gradient and no state.
 */

import { UserError } from "../common/mod.ts";
import type { Gpu } from "./device.ts";
import { type Axis, logicalLength, physicalLength } from "./graph.ts";
import {
  BLOCK,
  blockLength,
  type OptimizerName,
  planeBytes,
  type StatePlane,
  statePlanes,
} from "./optimizer/state.ts";
import {
  type BufferStorage,
  bufferStorage,
  type MixedPrecision,
  type Storage,
  storageBytes,
  textureStorage,
} from "./storage.ts";

/** One matrix of weights. */
export interface ParameterSpec {
  name: string;
  rows: Axis;
  cols: Axis;
  /** Whether weight decay applies. */
  decay: boolean;
  /** Never changed by training. @default false */
  frozen?: boolean;
  /**
   * For weights of a hidden layer: the matrices that stand in it side by side, each by how many groups of the column axis
   * it has, such as `[12, 12, 12]` for query, key and value of 12 heads. Left out: an embedding, a head or a vector.
   */
  matrices?: number[];
}

/** Parameters that are updated alike. */
export interface ChunkLayout {
  readonly decay: boolean;
  /** Whether it has the one plane `value` alone. */
  readonly frozen: boolean;
  /** Whether Muon makes the updates orthogonal. */
  readonly orthogonal: boolean;
  /** Bytes of the weights, and of the gradients. */
  readonly size: number;
  /** What the optimizer keeps. */
  readonly state: StatePlane[];
}

/** Where one parameter stands. */
export interface Slot {
  readonly spec: ParameterSpec;
  readonly chunk: number;
  /** Byte offset in the planes `value` and `gradient` of the chunk. */
  readonly offset: number;
  readonly storage: BufferStorage;
  /** The copy that kernels read: a texture, or in half precision either; undefined where they read the weights themselves. */
  readonly mirror: Storage | undefined;
}

/** The layout of a parameter store. */
export interface ParameterLayout {
  readonly slots: Map<string, Slot>;
  readonly chunks: ChunkLayout[];
  /** Bytes of all weights, and of those that are not frozen. */
  readonly planeBytes: number;
  readonly trainedBytes: number;
  /** Bytes of what the optimizer keeps. */
  readonly stateBytes: number;
  /** Bytes of all copies. */
  readonly mirrorBytes: number;
}

type Limits = Pick<Gpu, "operands" | "maxBindingBytes" | "maxBufferBytes" | "maxTextureSide">;

/** The kinds of chunks, in their order. */
const KINDS = [true, false].flatMap((decay) => [
  { decay, frozen: false, orthogonal: true },
  { decay, frozen: false, orthogonal: false },
  { decay, frozen: true, orthogonal: false },
]);

/**
 * Lays parameters out in chunks.
 *
 * @param mixed_precision `f16`: kernels read matrices (not vectors) in half precision, beside the float32 that is trained
 * @throws UserError when one is larger than the adapter's largest buffer.
 */
export function layoutParameters(
  specs: ParameterSpec[],
  gpu: Limits,
  optimizer: OptimizerName = "adamw",
  mixed_precision: MixedPrecision = "none",
): ParameterLayout {
  const slots = new Map<string, Slot>();
  const chunks: (ChunkLayout & { size: number })[] = [];
  let mirrorBytes = 0;
  for (const kind of KINDS) {
    let current = -1;
    for (const spec of specs.filter((s) => isOf(s, kind, optimizer))) {
      const { storage, mirror } = store(spec, gpu, optimizer, mixed_precision);
      const bytes = slotBytes(storage, kind.frozen ? 1 : blockLength(optimizer));
      if (bytes > gpu.maxBufferBytes) {
        throw new UserError(
          `${spec.name} takes ${bytes} bytes, the adapter's largest buffer is ${gpu.maxBufferBytes}`,
          {
            hint: "choose a smaller vocab_size or n_embd for this adapter",
          },
        );
      }
      const chunk = chunks[current];
      if (chunk === undefined || chunk.size + bytes > gpu.maxBufferBytes) {
        current = chunks.length;
        chunks.push({ ...kind, size: 0, state: kind.frozen ? [] : statePlanes(optimizer, kind.orthogonal) });
      }
      slots.set(spec.name, { spec, chunk: current, offset: chunks[current]!.size, storage, mirror });
      chunks[current]!.size += bytes;
      if (mirror !== undefined) mirrorBytes += storageBytes(mirror);
    }
  }
  const sum = (sizes: number[]) => sizes.reduce((total, size) => total + size, 0);
  return {
    slots,
    chunks,
    planeBytes: sum(chunks.map((c) => c.size)),
    trainedBytes: sum(chunks.filter((c) => !c.frozen).map((c) => c.size)),
    stateBytes: sum(chunks.flatMap((c) => c.state.map((plane) => planeBytes(plane, c.size)))),
    mirrorBytes,
  };
}

function isOf(spec: ParameterSpec, kind: typeof KINDS[number], optimizer: OptimizerName): boolean {
  const frozen = spec.frozen ?? false;
  const orthogonal = optimizer === "muon" && !frozen && spec.matrices !== undefined;
  return spec.decay === kind.decay && frozen === kind.frozen && orthogonal === kind.orthogonal;
}

/** Rows of vec4s in a buffer, and the copy where there is one. */
function store(
  spec: ParameterSpec,
  gpu: Limits,
  optimizer: OptimizerName,
  mixed_precision: MixedPrecision,
): Pick<Slot, "storage" | "mirror"> {
  const rows = physicalLength(spec.rows);
  const cols = Math.ceil(physicalLength(spec.cols) / 4);
  const half = mixed_precision === "f16" && logicalLength(spec.rows) > 1;
  const texture = gpu.operands === "texture"
    ? textureStorage(rows, cols, gpu.maxTextureSide, half ? "f16" : "f32")
    : undefined;
  const mirror = texture ?? (half ? bufferStorage(rows, cols, cols, gpu.maxBindingBytes, "f16") : undefined);
  // Copies to textures want rows of 256 bytes; blocks of 8-bit state are to be the same ones on every adapter.
  const wide = texture !== undefined || (blockLength(optimizer) > 1 && spec.frozen !== true);
  const pitch = wide ? widePitch(cols) : cols;
  return { mirror, storage: bufferStorage(rows, cols, pitch, gpu.maxBindingBytes) };
}

const widePitch = (cols: number) => Math.ceil(cols / 16) * 16;

/** Bytes of a slot: whole bindings' offsets (256 bytes), and whole blocks of the optimizer's state. */
function slotBytes(storage: BufferStorage, block: number): number {
  const multiple = Math.max(256, 4 * block);
  return Math.ceil(storageBytes(storage) / multiple) * multiple;
}

/** Blocks of 8-bit state that a parameter has. */
export function blockCount({ rows, cols }: ParameterSpec): number {
  return Math.ceil(physicalLength(rows) * 4 * widePitch(Math.ceil(physicalLength(cols) / 4)) / BLOCK);
}
