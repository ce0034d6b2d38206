/**
 * Planning: from a graph to a list of dispatches and the memory they need, before anything is allocated.
 *
 * The steps: drop nodes nobody wants, fuse element-wise nodes (`fuse.ts`), choose where each tensor lives, lower every
 * group to kernels (`lower.ts`), and let tensors whose lifetimes do not overlap share a block. A block is a buffer or a
 * texture of its own rather than a range of one arena: WebGPU forbids reading one range of a buffer and writing
 * another in the same dispatch.
 */

import { UserError } from "../common/mod.ts";
import type { Gpu } from "./device.ts";
import { fuse, type Fused } from "./fuse.ts";
import { type Graph, type Node, physicalLength, type Tensor } from "./graph.ts";
import { type Dispatch, Lowering } from "./lower.ts";
import type { ParameterLayout } from "./parameter_layout.ts";
import {
  bindingCount,
  bufferStorage,
  type Element,
  type MixedPrecision,
  type Storage,
  storageBytes,
  textureStorage,
} from "./storage.ts";

/** Memory that tensors share over time. */
export interface Block {
  kind: "texture" | "buffer";
  /** How a texture holds numbers; a buffer may hold now these, now those. */
  element: Element;
  /** Texels of a texture, or bytes × 1 of a buffer. */
  width: number;
  height: number;
  bytes: number;
  tensors: { tensor: Tensor; first: number; last: number }[];
}

/** Bytes a program takes beside the parameter store, by what they are for. */
export interface ProgramMemory {
  activations: number;
  inputs: number;
  states: number;
  outputs: number;
}

/** Everything decided about a program. */
export interface Plan {
  readonly graph: Graph;
  readonly dispatches: Dispatch[];
  readonly blocks: Block[];
  readonly storages: Map<Tensor, Storage>;
  readonly memory: ProgramMemory;
  /** Floating-point operations, without those that compute something again. */
  readonly flops: number;
}

/** What of the adapter a plan depends on. */
export type PlanTarget = Pick<
  Gpu,
  | "operands"
  | "profile"
  | "maxBindingBytes"
  | "maxBufferBytes"
  | "maxTextureSide"
  | "maxStorageTextures"
  | "maxStorageBuffers"
  | "hasSubgroups"
  | "vendor"
  | "choices"
>;

/**
 * Plans a graph for an adapter. Allocates nothing.
 *
 * @param mixed_precision `f16`: activations that need no more stand in half precision. In what precision kernels read
 *   parameters is said by their layout.
 */
export function plan(
  graph: Graph,
  target: PlanTarget,
  parameters: ParameterLayout,
  mixed_precision: MixedPrecision = "none",
): Plan {
  const live = liveNodes(graph);
  const outputs = new Set(graph.outputs.values());
  const storages = new Map<Tensor, Storage>();

  const storageOf = (tensor: Tensor): Storage => {
    let storage = storages.get(tensor);
    if (storage === undefined) {
      storages.set(tensor, storage = chooseStorage(tensor, target, parameters, outputs, mixed_precision));
    }
    return storage;
  };
  const { maxStorageTextures, maxStorageBuffers } = target;
  const fused = fuse(
    graph,
    live,
    target.operands === "texture" ? Math.min(maxStorageTextures, maxStorageBuffers) : maxStorageBuffers,
    (tensor) => tensor.form === "array" ? 1 : bindingCount(storageOf(tensor)),
  );
  const wanted = materialised(graph, live, fused);
  const lowering = new Lowering({
    profile: target.profile,
    hasSubgroups: target.hasSubgroups,
    maxBindingBytes: target.maxBindingBytes,
    vendor: target.vendor ?? "other",
    choices: target.choices ?? {},
    storageOf,
    isMaterialised: (tensor) => wanted.has(tensor),
    phaseOf: (node) => node.id < graph.backwardFrom ? "forward" : "backward",
  });
  for (const group of fused.groups) lowering.lowerGroup(group);
  const { dispatches } = lowering;

  const blocks = shareBlocks(dispatches, storageOf, outputs);
  const memory = measure(graph, blocks, storageOf);
  for (const block of blocks) {
    if (block.bytes > target.maxBufferBytes) {
      throw new UserError(
        `${
          block.tensors[0]!.tensor.name
        } takes ${block.bytes} bytes, the adapter's largest buffer holds ${target.maxBufferBytes}`,
        { hint: "lower training.batch_size or training.max_seq_length" },
      );
    }
  }
  return {
    graph,
    dispatches,
    blocks,
    storages,
    memory,
    flops: dispatches.reduce((sum, d) => sum + (d.repeats ? 0 : d.flops), 0),
  };
}

/** Nodes whose results reach an output, a parameter's gradient or a state. */
function liveNodes(graph: Graph): Set<Node> {
  const outputs = new Set(graph.outputs.values());
  const live = new Set<Node>();
  const wanted = new Set<Tensor>(outputs);
  for (const node of graph.nodes.toReversed()) {
    const needed = node.attrs.effect === true ||
      node.outputs.some((t) => wanted.has(t) || t.target !== undefined);
    if (!needed) continue;
    live.add(node);
    for (const input of node.inputs) wanted.add(input);
  }
  return live;
}

/** Tensors that somebody outside the kernel that makes them reads. */
function materialised(graph: Graph, live: Set<Node>, fused: Fused): Set<Tensor> {
  const wanted = new Set<Tensor>(graph.outputs.values());
  for (const node of live) {
    for (const output of node.outputs) if (output.target !== undefined) wanted.add(output);
    for (const input of node.inputs) {
      if (input.node === undefined || fused.groupOf.get(input.node) !== fused.groupOf.get(node)) {
        wanted.add(input);
      }
    }
  }
  return wanted;
}

function chooseStorage(
  tensor: Tensor,
  target: PlanTarget,
  parameters: ParameterLayout,
  outputs: Set<Tensor>,
  mixed_precision: MixedPrecision,
): Storage {
  const slot = (t: Tensor) => {
    const found = parameters.slots.get(t.name);
    if (found === undefined) throw new Error(`the parameter store has no ${t.name}`);
    return found;
  };
  if (tensor.target !== undefined) return slot(tensor.target).storage;
  if (tensor.kind === "parameter") return slot(tensor).mirror ?? slot(tensor).storage;
  const rows = physicalLength(tensor.rows);
  const cols = physicalLength(tensor.cols) / 4;
  const half = mixed_precision === "f16" && tensor.kind === "activation" && !tensor.exact &&
    !outputs.has(tensor);
  const element = half ? "f16" : "f32";
  const texture = target.operands === "texture" && !outputs.has(tensor)
    ? textureStorage(rows, cols, target.maxTextureSide, element)
    : undefined;
  return texture ?? bufferStorage(rows, cols, cols, target.maxBindingBytes, element);
}

/** Bytes of a tensor that is no matrix. */
export function arrayBytes(tensor: Tensor): number {
  return Math.max(4, physicalLength(tensor.cols) * 4);
}

/** Assigns activations to blocks, largest first; a block is shared by tensors whose lifetimes do not overlap. */
function shareBlocks(
  dispatches: Dispatch[],
  storageOf: (t: Tensor) => Storage,
  outputs: Set<Tensor>,
): Block[] {
  const lifetimes = new Map<Tensor, { first: number; last: number }>();
  dispatches.forEach((dispatch, i) => {
    for (const { tensor } of dispatch.args) {
      if (tensor.kind !== "activation" || tensor.target !== undefined) continue;
      const life = lifetimes.get(tensor);
      if (life === undefined) lifetimes.set(tensor, { first: i, last: i });
      else life.last = i;
    }
  });
  const sized = [...lifetimes].map(([tensor, life]) => ({ tensor, ...life, ...extent(tensor, storageOf) }));
  sized.sort((a, b) => b.bytes - a.bytes || a.first - b.first);
  const blocks: Block[] = [];
  for (const { tensor, first, last, kind, element, width, height, bytes } of sized) {
    const fits = (block: Block) =>
      block.kind === kind && (kind === "buffer" || block.element === element) && block.width >= width &&
      block.height >= height &&
      block.tensors.every((other) => other.last < first || other.first > last);
    const block = outputs.has(tensor) ? undefined : blocks.find(fits);
    const entry = { tensor, first, last: outputs.has(tensor) ? dispatches.length : last };
    if (block !== undefined && !block.tensors.some((t) => outputs.has(t.tensor))) block.tensors.push(entry);
    else blocks.push({ kind, element, width, height, bytes, tensors: [entry] });
  }
  return blocks;
}

function extent(tensor: Tensor, storageOf: (t: Tensor) => Storage): Omit<Block, "tensors"> {
  if (tensor.form === "array") {
    return {
      kind: "buffer",
      element: "f32",
      width: arrayBytes(tensor),
      height: 1,
      bytes: arrayBytes(tensor),
    };
  }
  const storage = storageOf(tensor);
  const bytes = storageBytes(storage);
  const { kind, element } = storage;
  return kind === "texture"
    ? { kind, element, width: storage.width, height: storage.height, bytes }
    : { kind, element, width: bytes, height: 1, bytes };
}

function measure(graph: Graph, blocks: Block[], storageOf: (t: Tensor) => Storage): ProgramMemory {
  const outputs = new Set(graph.outputs.values());
  const memory: ProgramMemory = { activations: 0, inputs: 0, states: 0, outputs: 0 };
  for (const block of blocks) {
    memory[outputs.has(block.tensors[0]!.tensor) ? "outputs" : "activations"] += block.bytes;
  }
  for (const tensor of graph.tensors) {
    if (tensor.kind === "input") memory.inputs += arrayBytes(tensor);
    if (tensor.kind === "constant") memory.inputs += storageBytes(storageOf(tensor));
    if (tensor.kind === "state") memory.states += storageBytes(storageOf(tensor));
  }
  return memory;
}
