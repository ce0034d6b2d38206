/**
 * Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): the matrices of hidden layers move by their momentum made
 * orthogonal (`orthogonalize.ts`), so that every direction of a matrix learns at the same rate; embeddings, the head and
 * vectors move by AdamW. With g = gradient · clip factor, r × c the matrix's sides:
 *
 *     b = momentum · b + g;  O = orthogonal(g + momentum · b);  p = p (1 - lr · decay) - lr · 0.2 √max(r, c) · O
 *
 * The factor 0.2 √max(r, c) is that of Liu et al. 2025 ("Muon is Scalable for LLM Training", arXiv:2502.16982, section 2.2): O
 * then moves a weight about as far as AdamW would, and both go by one learning rate and one decay.
 *
 * A matrix is what maps one space to another: query, key and value, which stand side by side in one weight, are three.
 * A kernel works on one matrix after the other, those of a shape through the same program; its scratch is in the plan.
 */

import { UserError } from "../../common/mod.ts";
import { logicalLength, physicalLength } from "../graph.ts";
import type { ReadyDispatch } from "../kernel.ts";
import { matrixGrid, matrixPlace } from "../kernels/grid.ts";
import { STEP_WGSL } from "../lower.ts";
import type { ParameterLayout, Slot } from "../parameter_layout.ts";
import type { Chunk, Plane } from "../parameters.ts";
import { type Plan, plan, type PlanTarget } from "../plan.ts";
import { Program } from "../program.ts";
import { accessor, bindingCount, sliceBindings } from "../storage.ts";
import { adamw } from "./adamw.ts";
import applyWgsl from "./muon_apply.wgsl" with { type: "text" };
import gatherWgsl from "./muon_gather.wgsl" with { type: "text" };
import inverseWgsl from "./muon_inverse.wgsl" with { type: "text" };
import momentumWgsl from "./muon_momentum.wgsl" with { type: "text" };
import { NORM_LANES, prepareSquares, totalOf } from "./norm.ts";
import { orthogonalizeGraph } from "./orthogonalize.ts";
import { decayOf, elementwise, floatConstants, type UpdateContext, type UpdateRule } from "./rule.ts";

/** The update. */
export const muon: UpdateRule = (chunk, context) => {
  if (!chunk.orthogonal) return adamw(chunk, context);
  const { store, options: { momentum } } = context;
  const momentumUpdate = elementwise(chunk, context, {
    label: "muon momentum",
    planes: ["momentum_buffer"],
    constants: { MOMENTUM: momentum, DECAY: decayOf(chunk, context.options) },
    wgsl: momentumWgsl,
    flops: 5,
  });
  const matrices = matricesOf(store.layout, store.chunks.indexOf(chunk));
  const steps = new Map<string, Orthogonalizer>();
  return [
    ...momentumUpdate,
    ...matrices.flatMap((matrix) => {
      const shape = shapeOf(matrix);
      const known = steps.get(shape.join()) ?? new Orthogonalizer(shape, context);
      steps.set(shape.join(), known);
      return known.update(matrix, chunk);
    }),
  ];
};

/** A matrix within a parameter. */
interface Matrix {
  slot: Slot;
  /** Physical rows and columns, padding included. */
  rows: number;
  cols: number;
  /** First column in vec4s. */
  first: number;
  /** The longer side without padding. */
  longer: number;
}

/** The matrices of a chunk, in the order of its parameters. */
function matricesOf({ slots }: ParameterLayout, chunk: number): Matrix[] {
  return [...slots.values()].filter((slot) => slot.chunk === chunk).flatMap((slot) => {
    const { rows, cols, matrices = [] } = slot.spec;
    let first = 0;
    return matrices.map((groups) => {
      const own = { ...cols, groups };
      const matrix = {
        slot,
        rows: physicalLength(rows),
        cols: physicalLength(own),
        first,
        longer: Math.max(logicalLength(rows), logicalLength(own)),
      };
      first += matrix.cols / 4;
      return matrix;
    });
  });
}

/** The sides as the iteration takes them: the shorter one first. */
function shapeOf({ rows, cols }: Matrix): [number, number] {
  return rows <= cols ? [rows, cols] : [cols, rows];
}

function planOf([rows, cols]: [number, number], target: PlanTarget): Plan {
  if (4 * rows * cols > target.maxBindingBytes) {
    throw new UserError(
      `muon: a matrix of ${rows} × ${cols} is larger than the adapter's largest binding, ${target.maxBindingBytes} bytes`,
      { hint: "choose another training.optimizer for this adapter" },
    );
  }
  return plan(orthogonalizeGraph(rows, cols), target, NO_PARAMETERS);
}

const NO_PARAMETERS: ParameterLayout = {
  slots: new Map(),
  chunks: [],
  planeBytes: 0,
  trainedBytes: 0,
  stateBytes: 0,
  mirrorBytes: 0,
};

/** Memory beside the planes, and operations, that a step of the optimizer takes for its orthogonal matrices. Allocates nothing. */
export function orthogonalWork(
  layout: ParameterLayout,
  target: PlanTarget,
): { bytes: number; flops: number } {
  const work = { bytes: 0, flops: 0 };
  layout.chunks.forEach(({ orthogonal }, i) => {
    if (!orthogonal) return;
    for (const matrices of Map.groupBy(matricesOf(layout, i), (m) => shapeOf(m).join()).values()) {
      const { memory, flops } = planOf(shapeOf(matrices[0]!), target);
      work.bytes += memory.activations + memory.inputs + memory.outputs + 4 * NORM_LANES;
      work.flops += flops * matrices.length;
    }
  });
  return work;
}

/** The program of a shape, and the kernels that bring a matrix to it and its result to the weights. */
class Orthogonalizer {
  readonly #context: UpdateContext;
  readonly #program: Program;
  readonly #partial: GPUBuffer;
  readonly #result: GPUBuffer;

  constructor(private readonly shape: [number, number], context: UpdateContext) {
    const { gpu, store, kernels, own } = context;
    this.#context = context;
    this.#program = own(new Program(gpu, planOf(shape, gpu), store, kernels));
    this.#result = this.#program.outputBuffer("orthogonal");
    this.#partial = own(
      gpu.device.createBuffer({
        label: "muon",
        size: 4 * NORM_LANES,
        usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC,
      }),
    );
  }

  /** The dispatches that update one matrix. */
  update(matrix: Matrix, chunk: Chunk): ReadyDispatch[] {
    const [rows, cols] = this.shape;
    const { gpu, kernels } = this.#context;
    const update = this.#program.inputBuffer("update");
    return [
      this.#gather(matrix, chunk),
      prepareSquares(kernels, {
        label: "muon norm",
        profile: gpu.profile,
        buffer: { buffer: update },
        count: rows * cols / 4,
        partial: this.#partial,
        first: 0,
      }),
      kernels.prepare({
        label: "muon norm",
        code: `@group(0) @binding(0) var<storage, read> partial: array<f32>;
@group(0) @binding(1) var<storage, read_write> inverse: array<f32>;
${totalOf(NORM_LANES)}${inverseWgsl}`,
        bound: [
          { kind: "read", resource: { buffer: this.#partial } },
          { kind: "write", resource: { buffer: this.#program.inputBuffer("inverse") } },
        ],
        workgroups: [1, 1, 1],
        flops: NORM_LANES,
        bytes: 4 * NORM_LANES,
      }),
      ...this.#program.dispatches.map(({ phase: _, ...dispatch }) => dispatch), // no part of the backward pass
      this.#apply(matrix, chunk),
    ];
  }

  /** Momentum and gradient into the program's input. */
  #gather(matrix: Matrix, chunk: Chunk): ReadyDispatch {
    const { slot: { storage }, rows, cols, first } = matrix;
    const { kernels, clip, options: { momentum } } = this.#context;
    const slices = bindingCount(storage);
    return kernels.prepare({
      label: "muon gather",
      code: `${accessor("gradient", storage, "read", 0)}${
        accessor("momentum", storage, "read", slices)
      }@group(0) @binding(${2 * slices}) var<storage, read> clip: array<f32>;
@group(0) @binding(${2 * slices + 1}) var<storage, read_write> matrix: array<f32>;
${this.#indexWgsl(matrix)}const FIRST: u32 = ${first}u;
${floatConstants({ MOMENTUM: momentum })}${gatherWgsl.replace("PLACE", matrixPlace(rows, cols / 4))}`,
      bound: [
        ...slotBindings(matrix.slot, chunk, "gradient", "read"),
        ...slotBindings(matrix.slot, chunk, "momentum_buffer", "read"),
        { kind: "read", resource: { buffer: clip } },
        { kind: "write", resource: { buffer: this.#program.inputBuffer("update") } },
      ],
      workgroups: matrixGrid(rows, cols / 4, 64),
      flops: 3 * rows * cols,
      bytes: 12 * rows * cols,
    });
  }

  /** The program's output onto the weights. */
  #apply(matrix: Matrix, chunk: Chunk): ReadyDispatch {
    const { slot: { storage }, rows, cols, first, longer } = matrix;
    const { kernels, clip, step } = this.#context;
    const slices = bindingCount(storage);
    return kernels.prepare({
      label: "muon apply",
      code: `${STEP_WGSL}@group(0) @binding(0) var<uniform> step: Step;
${accessor("weight", storage, "add", 1)}@group(0) @binding(${1 + slices}) var<storage, read> clip: array<f32>;
@group(0) @binding(${2 + slices}) var<storage, read> matrix: array<f32>;
${this.#indexWgsl(matrix)}const FIRST: u32 = ${first}u;
${floatConstants({ SCALE: 0.2 * Math.sqrt(longer) })}${
        applyWgsl.replace("PLACE", matrixPlace(rows, cols / 4))
      }`,
      bound: [
        { kind: "uniform", resource: { buffer: step } },
        ...slotBindings(matrix.slot, chunk, "value", "write"),
        { kind: "read", resource: { buffer: clip } },
        { kind: "read", resource: { buffer: this.#result } },
      ],
      workgroups: matrixGrid(rows, cols / 4, 64),
      flops: 2 * rows * cols,
      bytes: 12 * rows * cols,
    });
  }

  /** Where four elements of a row stand in the program's matrix, which lies on its side when the parameter's is tall. */
  #indexWgsl({ rows, cols }: Matrix): string {
    return rows <= cols
      ? `fn place(row: u32, col: u32) -> vec4u { return vec4u(row * ${cols}u + 4u * col) + vec4u(0u, 1u, 2u, 3u); }\n`
      : `fn place(row: u32, col: u32) -> vec4u { return (vec4u(4u * col) + vec4u(0u, 1u, 2u, 3u)) * ${rows}u + row; }\n`;
  }
}

/** The bindings of a parameter's plane. */
function slotBindings({ storage, offset }: Slot, chunk: Chunk, plane: Plane, kind: "read" | "write") {
  return sliceBindings(storage, { buffer: chunk.planes.get(plane)!, offset })
    .map((resource) => ({ kind, resource }));
}
