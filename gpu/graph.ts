/**
 * The symbolic graph: tensors and the nodes that make them. Defining a graph touches no device.
 *
 * Every tensor on the device is a matrix: rows × columns, columns in groups of four floats (`vec4f`). An `Axis` says how
 * a logical length is padded to get there. Left out on purpose: what an op computes (see `op.ts` and `kernels/`), where
 * a tensor lives (`plan.ts`).
 */

import type { Op } from "./op.ts";

/**
 * One side of a matrix: `groups` blocks of `size` logical elements, each padded with zeros to a multiple of `multiple`.
 * Attention heads of 11 lanes, say, are groups of size 11 that take 12 lanes each.
 */
export interface Axis {
  readonly groups: number;
  readonly size: number;
  readonly multiple: number;
}

/** An axis of `size` elements, by default one group padded to a multiple of 4. */
export function axis(size: number, options: { groups?: number; multiple?: number } = {}): Axis {
  return { groups: options.groups ?? 1, size, multiple: options.multiple ?? 4 };
}

/** Rows of activations: counted exactly, never padded. */
export function rowsOf(count: number): Axis {
  return { groups: 1, size: count, multiple: 1 };
}

/** Elements of an axis without padding. */
export function logicalLength(a: Axis): number {
  return a.groups * a.size;
}

/** Elements of an axis on the device, padding included. */
export function physicalLength(a: Axis): number {
  return a.groups * Math.ceil(a.size / a.multiple) * a.multiple;
}

/**
 * What a tensor is to the planner: `activation` may share memory once it is dead, `parameter` lives in the parameter
 * store, `input` is written by the host before a step, `state` outlives the step (a KV cache), `constant` is known when the
 * graph is defined.
 */
export type TensorKind = "activation" | "parameter" | "gradient" | "input" | "state" | "constant";

/** How a kernel sees a tensor: `matrix` through accessors of vec4f, `array` as a plain storage array. */
export type TensorForm = "matrix" | "array";

/** A symbolic tensor. */
export interface Tensor {
  readonly id: number;
  readonly graph: Graph;
  readonly name: string;
  readonly rows: Axis;
  readonly cols: Axis;
  readonly kind: TensorKind;
  readonly form: TensorForm;
  readonly dtype: "f32" | "u32";
  /** The node that makes it; undefined for parameters, inputs, states and constants. */
  readonly node: Node | undefined;
  /** For a gradient of a parameter: the parameter whose slot in the gradient buffer it is written to. */
  target: Tensor | undefined;
  /** For a gradient: add to what stands in the slot instead of replacing it. */
  accumulate: boolean;
  /** Whether half precision would not do, as for statistics and partial sums. */
  readonly exact: boolean;
}

/** One operation of the graph. */
export interface Node {
  readonly id: number;
  readonly op: Op;
  readonly name: string;
  readonly inputs: Tensor[];
  readonly outputs: Tensor[];
  // deno-lint-ignore no-explicit-any
  readonly attrs: any;
  /** Whether it computes once more what an earlier node did, see `Graph.recompute`. */
  readonly repeats: boolean;
}

/** How an output of a node looks. */
export interface OutputSpec {
  rows: Axis;
  cols: Axis;
  form?: TensorForm;
  dtype?: "f32" | "u32";
  name?: string;
  /** @default false */
  exact?: boolean;
}

/** A run of nodes, by id, that the backward pass computes again. */
export interface RecomputedRun {
  readonly first: number;
  /** The id behind the last one. */
  readonly end: number;
  /** Results of the run that are kept from the forward pass all the same. */
  readonly kept: readonly Tensor[];
}

/** Which half of a step a node belongs to: what it computes, or the gradients of that. */
export type Phase = "forward" | "backward";

/** A list of nodes in the order in which they were defined, which is an order in which they can run. */
export class Graph {
  readonly nodes: Node[] = [];
  readonly tensors: Tensor[] = [];
  readonly outputs = new Map<string, Tensor>();
  /** Id of the first node of the backward pass; Infinity while there is none. */
  backwardFrom = Infinity;
  /** What the backward pass computes again; see `recompute`. */
  readonly recomputed: RecomputedRun[] = [];
  /** The numbers of each constant: logical elements, row after row. */
  readonly constants = new Map<Tensor, Float32Array>();
  #scope: string[] = [];

  /** Names what `define` adds after `name/`, for profiles and error messages. */
  scope<T>(name: string, define: () => T): T {
    this.#scope.push(name);
    try {
      return define();
    } finally {
      this.#scope.pop();
    }
  }

  #tensor(fields: Pick<Tensor, "name" | "rows" | "cols" | "kind"> & Partial<Tensor>): Tensor {
    const tensor: Tensor = {
      form: "matrix",
      dtype: "f32",
      node: undefined,
      target: undefined,
      accumulate: false,
      exact: false,
      ...fields,
      id: this.tensors.length,
      graph: this,
    };
    this.tensors.push(tensor);
    return tensor;
  }

  /** A trained matrix; `rows` is 1 for biases and norms. */
  parameter(name: string, rows: Axis, cols: Axis): Tensor {
    return this.#tensor({ name, rows, cols, kind: "parameter" });
  }

  /** A plain array that the host writes before a step, such as token ids: `[length]`. */
  input(name: string, length: number, dtype: "f32" | "u32" = "u32"): Tensor {
    return this.#tensor({ name, rows: rowsOf(1), cols: rowsOf(length), kind: "input", form: "array", dtype });
  }

  /** A matrix that outlives the step and starts as zeros, such as a KV cache. */
  state(name: string, rows: Axis, cols: Axis): Tensor {
    return this.#tensor({ name, rows, cols, kind: "state" });
  }

  /** A matrix of numbers that never change, `data` row after row without padding, such as a table of angles. */
  constant(name: string, rows: Axis, cols: Axis, data: Float32Array): Tensor {
    const tensor = this.#tensor({ name, rows, cols, kind: "constant" });
    this.constants.set(tensor, data);
    return tensor;
  }

  /** Adds a node and makes its output tensors. */
  // deno-lint-ignore no-explicit-any
  node(op: Op, inputs: Tensor[], attrs: any, outputs: OutputSpec[]): Node {
    const name = [...this.#scope, op.name].join("/");
    const node: Node = { id: this.nodes.length, op, name, inputs, outputs: [], attrs, repeats: false };
    this.nodes.push(node);
    for (const spec of outputs) this.addOutput(node, spec);
    return node;
  }

  /**
   * Has the backward pass compute again what `define` adds, instead of keeping it from the forward pass: memory for the
   * nodes' results is needed for the time of the gradients that read them alone (Chen et al. 2016, "Training Deep Nets with
   * Sublinear Memory Cost", arXiv:1604.06174). What the nodes read from others is kept.
   *
   * @param options.keep whether what `define` returns is kept from the forward pass all the same: it should be where the
   *   gradients of what follows come long before those of the run, or where the next run would need this one first
   */
  recompute(define: () => Tensor, { keep }: { keep: boolean }): Tensor {
    const first = this.nodes.length;
    const result = define();
    this.recomputed.push({ first, end: this.nodes.length, kept: keep ? [result] : [] });
    return result;
  }

  /** Adds a node that computes once more what another one does, from inputs of the same values. */
  repeat(node: Node, inputs: Tensor[]): Node {
    const twin: Node = { ...node, id: this.nodes.length, inputs, outputs: [], repeats: true };
    this.nodes.push(twin);
    for (const { name, rows, cols, form, dtype, exact } of node.outputs) {
      twin.outputs.push(
        this.#tensor({ name, rows, cols, form, dtype, exact, kind: "activation", node: twin }),
      );
    }
    return twin;
  }

  /** Adds one more output to a node, such as a gradient that its forward pass computes on the way. */
  addOutput(node: Node, spec: OutputSpec): Tensor {
    const name = spec.name === undefined ? node.name : `${node.name}.${spec.name}`;
    const tensor = this.#tensor({ ...spec, name, kind: "activation", node });
    node.outputs.push(tensor);
    return tensor;
  }

  /** Marks a tensor as wanted by the host under `name`: it gets a buffer of its own that can be read back. */
  output(name: string, tensor: Tensor): void {
    this.outputs.set(name, tensor);
  }
}
