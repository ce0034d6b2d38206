/**
 * From ops to dispatches: what an op's `lower` is given. It assembles a kernel's WGSL from the op's text, the accessors
 * of its arguments and the element-wise ops that were fused behind it, and records the dispatch.
 */

import type { KernelProfile } from "./device.ts";
import { type Node, type Phase, physicalLength, rowsOf, type Tensor } from "./graph.ts";
import { type ChoiceOf, type Choices, type Chosen, type Site, siteKey } from "./tuning/choices.ts";
import type { GpuVendor } from "./vendor.ts";
import {
  type Access,
  accessor,
  bindingCount,
  ROUND_HALF_WGSL,
  type Storage,
  storageBytes,
} from "./storage.ts";

/** A root node and the element-wise nodes that its kernel computes on the way out. */
export interface Group {
  root: Node;
  chain: Node[];
}

/** One argument of a kernel. */
export interface Arg {
  /** Identifier in WGSL: `load_<name>`, `store_<name>`, or the array itself. */
  name: string;
  tensor: Tensor;
  access: "read" | "write";
  /** Component of the dispatch's `view` that is added to every row of this argument. */
  rowOffset?: "a_row" | "b_row" | "c_row";
}

/** Row offsets and row count of a dispatch over a chunk of rows. */
export interface View {
  a_row: number;
  b_row: number;
  c_row: number;
  rows: number;
}

/** What an op says of one kernel. */
export interface KernelSpec {
  node: Node;
  /** Short name for profiles, such as `matmul NN`. */
  label: string;
  args: Arg[];
  /** WGSL: the entry point `main` and its helpers. */
  body: string;
  /** `const NAME: u32 = value;` */
  constants?: Record<string, number>;
  /** `const NAME: f32 = value;` */
  floats?: Record<string, number>;
  workgroups: [number, number, number];
  /** Floating-point operations of the dispatch. */
  flops: number;
  view?: View;
  /** What `choose` gave for it, where its tile can be chosen. */
  chosen?: Chosen;
}

/** A recorded dispatch: everything but the device objects. */
export interface Dispatch {
  label: string;
  name: string;
  phase: Phase;
  /** Whether it computes again what an earlier one did. */
  repeats: boolean;
  /** Its tile, where that can be chosen. */
  chosen: Chosen | undefined;
  code: string;
  args: { tensor: Tensor; access: Access; storage: Storage | undefined }[];
  usesStep: boolean;
  view: View | undefined;
  workgroups: [number, number, number];
  flops: number;
  bytes: number;
}

/** The uniform that changes from step to step; the host fills it before each run. */
export const STEP_WGSL = `struct Step {
  seed: u32, index: u32, slot: u32, position: u32,
  last: u32, learning_rate: f32, correction1: f32, correction2: f32,
}
`;
const VIEW_WGSL = "struct View { a_row: u32, b_row: u32, c_row: u32, rows: u32 }\n";

/** What `lower` may ask of the planner. */
export interface LoweringHost {
  readonly profile: KernelProfile;
  readonly hasSubgroups: boolean;
  readonly maxBindingBytes: number;
  readonly vendor: GpuVendor;
  /** Tiles to use instead of defaults. */
  readonly choices: Choices;
  storageOf(tensor: Tensor): Storage;
  isMaterialised(tensor: Tensor): boolean;
  phaseOf(node: Node): Phase;
}

/** Records the dispatches of one group after the other. */
export class Lowering {
  readonly dispatches: Dispatch[] = [];
  readonly #host: LoweringHost;
  #group: Group | undefined;
  #scratchCount = 0;

  constructor(host: LoweringHost) {
    this.#host = host;
  }

  /** The family of kernels to choose defaults from. */
  get profile(): KernelProfile {
    return this.#host.profile;
  }

  /** Whether kernels may use subgroup operations. */
  get hasSubgroups(): boolean {
    return this.#host.hasSubgroups;
  }

  /** Who made the GPU. */
  get vendor(): GpuVendor {
    return this.#host.vendor;
  }

  /** Bytes that one binding may hold. */
  get maxBindingBytes(): number {
    return this.#host.maxBindingBytes;
  }

  /** The tile of a kernel: what was chosen for it, or else its default. To be handed on to `dispatch`. */
  choose<S extends Site>(site: S, standard: () => ChoiceOf<S>): Chosen<S> {
    const choice = this.#host.choices[siteKey(site)] as ChoiceOf<S> | undefined;
    return { site, choice: choice ?? standard() };
  }

  /** Whether a matrix stands in half precision. */
  isHalf(tensor: Tensor): boolean {
    return this.#host.storageOf(tensor).element === "f16";
  }

  /** Lowers a group. */
  lowerGroup(group: Group): void {
    this.#group = group;
    if (group.root.op.lower === undefined) throw new Error(`${group.root.name}: neither lowered nor fused`);
    group.root.op.lower(group.root, this);
  }

  /** Whether somebody outside the kernel wants this output. */
  isWanted(tensor: Tensor): boolean {
    return this.#host.isMaterialised(tensor);
  }

  /** vec4s a row of a matrix. */
  cols4(tensor: Tensor): number {
    return physicalLength(tensor.cols) / 4;
  }

  /** A matrix that only this op's kernels see, of float32. */
  scratch(node: Node, name: string, rows: number, cols: number): Tensor {
    return {
      id: -1 - this.#scratchCount++,
      graph: node.inputs[0]!.graph,
      name: `${node.name}.${name}`,
      rows: rowsOf(rows),
      cols: { groups: 1, size: cols, multiple: 4 },
      kind: "activation",
      form: "matrix",
      dtype: "f32",
      node,
      target: undefined,
      accumulate: false,
      exact: true,
    };
  }

  /**
   * The function `finish(row, col, value)` of the group that is being lowered: stores the root's first output and runs
   * the fused element-wise ops. Those see a result in the precision that it is stored in, stored or not, so that what is
   * fused or computed again changes no bit. `first` turns the raw `value` into the root's output, such as `value + load_bias(0u, col)`.
   *
   * @param offsetRows add the view's `c_row` to rows, for kernels that work on a chunk
   */
  finish(first = "value", offsetRows = false): { text: string; args: Arg[] } {
    const { root, chain } = this.#group!;
    const args: Arg[] = [];
    const preludes = new Set<string>();
    const names = new Map<Tensor, string>([[root.outputs[0]!, "v0"]]);
    const asStored = (tensor: Tensor, value: string, readers: Node[]) => {
      const isHalf = this.#host.storageOf(tensor).element === "f16";
      if (!isHalf || !readers.some((node) => node.inputs.includes(tensor))) return value;
      preludes.add(ROUND_HALF_WGSL);
      return `round_half(${value})`;
    };
    const isMade = root.outputs[0]!.node === root;
    let body = `  let v0 = ${isMade ? asStored(root.outputs[0]!, first, chain) : first};\n`;
    const store = (tensor: Tensor, value: string) => {
      if (!this.#host.isMaterialised(tensor)) return;
      const name = `out${args.length}`;
      args.push({ name, tensor, access: "write" });
      body += `  store_${name}(row, col, ${value});\n`;
    };
    if (isMade) store(root.outputs[0]!, "v0");
    chain.forEach((node, i) => {
      const inputs = node.inputs.map((tensor, k) => {
        const place = node.op.readsAt?.(node, k);
        const fused = names.get(tensor);
        if (fused !== undefined && place !== undefined) {
          throw new Error(`${node.name}: reads ${tensor.name} elsewhere while it is made`);
        }
        if (fused !== undefined) return fused;
        const name = `in${args.length}`;
        args.push({ name, tensor, access: "read" });
        return `load_${name}(${place ?? "row, col"})`;
      });
      if (node.op.prelude !== undefined) preludes.add(node.op.prelude);
      const value = asStored(node.outputs[0]!, node.op.expression!(node, inputs), chain.slice(i + 1));
      body += `  let v${i + 1} = ${value};\n`;
      names.set(node.outputs[0]!, `v${i + 1}`);
      store(node.outputs[0]!, `v${i + 1}`);
    });
    const row = offsetRows ? "  let row = chunk_row + view.c_row;\n" : "";
    const text = `${[...preludes].join("\n")}
fn finish(${offsetRows ? "chunk_row" : "row"}: u32, col: u32, value: vec4f) {
${row}${body}}
`;
    return { text, args };
  }

  /** Records a kernel. */
  dispatch(spec: KernelSpec): void {
    const constants = Object.entries(spec.constants ?? {}).map(([k, v]) => `const ${k}: u32 = ${v}u;\n`).join(
      "",
    );
    const floats = Object.entries(spec.floats ?? {}).map(([k, v]) =>
      `const ${k}: f32 = ${floatLiteral(v)};\n`
    ).join("");
    const usesStep = /\bstep\./.test(spec.body);
    if (/\bview\./.test(spec.body) && spec.view === undefined) {
      throw new Error(`${spec.label}: no view given`);
    }
    let code = "";
    let binding = 0;
    if (usesStep) code += `${STEP_WGSL}@group(0) @binding(${binding++}) var<uniform> step: Step;\n`;
    if (spec.view !== undefined) {
      code += `${VIEW_WGSL}@group(0) @binding(${binding++}) var<uniform> view: View;\n`;
    }
    const args: Dispatch["args"] = [];
    let bytes = 0;
    for (const { name, tensor, access, rowOffset } of spec.args) {
      if (tensor.form === "array") {
        const mode = access === "read" ? "read" : "read_write";
        code += `@group(0) @binding(${binding++}) var<storage, ${mode}> ${name}: array<${tensor.dtype}>;\n`;
        args.push({ tensor, access, storage: undefined });
        bytes += physicalLength(tensor.cols) * 4;
        continue;
      }
      const storage = this.#host.storageOf(tensor);
      const used: Access = access === "write" && tensor.accumulate ? "add" : access;
      code += accessor(
        name,
        storage,
        used,
        binding,
        rowOffset === undefined ? undefined : `view.${rowOffset}`,
      );
      binding += bindingCount(storage);
      args.push({ tensor, access: used, storage });
      bytes += storageBytes(storage) * (used === "add" ? 2 : 1);
    }
    this.dispatches.push({
      label: spec.label,
      name: spec.node.name,
      phase: this.#host.phaseOf(spec.node),
      repeats: spec.node.repeats,
      chosen: spec.chosen,
      code: `${code}${constants}${floats}${spec.body}`,
      args,
      usesStep,
      view: spec.view,
      workgroups: spec.workgroups,
      flops: spec.flops,
      bytes,
    });
  }
}

/** A number as a WGSL f32 literal. */
export function floatLiteral(value: number): string {
  const text = Math.fround(value).toString();
  return /[.e]/.test(text) ? text.replace(/^(-?\d+)e/, "$1.0e") : `${text}.0`;
}
