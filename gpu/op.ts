/**
 * What an op is: one room under `kernels/` holds its shape rule, WGSL, gradient rule and cost. This file is only the
 * contract between those rooms, the graph and the planner.
 */

import type { Node, Tensor } from "./graph.ts";
import type { Lowering } from "./lower.ts";

/** One operation. Exactly one of `lower` and `expression` is given. */
export interface Op {
  readonly name: string;

  /**
   * The gradient rule: given the gradients of the outputs (undefined where none flows), adds nodes and returns the
   * gradients of the inputs in their order (undefined where none is wanted, as for token ids).
   */
  backward?(node: Node, gradients: (Tensor | undefined)[]): (Tensor | undefined)[];

  /** Turns the node into dispatches. */
  lower?(node: Node, lowering: Lowering): void;

  /**
   * For element-wise ops: the WGSL expression of the result, given one `vec4f` expression per input; `row` and `col`
   * (counted in vec4s) are in scope. Such a node is fused into the kernel that makes one of its inputs.
   */
  expression?(node: Node, inputs: string[]): string;

  /**
   * Where `expression` reads an input, as WGSL of row and column, if not at the result's own `row, col`. Such an input is made
   * before the kernel runs, never in it.
   */
  readsAt?(node: Node, input: number): string | undefined;

  /** WGSL functions that `expression` calls. */
  readonly prelude?: string;

  /** Whether `expression` reads the uniform `step`. */
  readonly usesStep?: boolean;

  /** Whether the op hands its first output to `finish`, so that element-wise followers can be fused into it. */
  readonly absorbs?: boolean;
}
