/**
 * Element-wise ops: addition, scaling, GELU and its like, dropout. They are expressions, not kernels: the planner fuses them into the kernel
 * that makes one of their inputs, or into `copy` where there is none.
 */

import type { Node, Tensor } from "../../graph.ts";
import type { Op } from "../../op.ts";
import { floatLiteral, type Lowering } from "../../lower.ts";
import { matrixGrid, matrixPlace } from "../grid.ts";
import { RANDOM_WGSL } from "../random.ts";

/** The output of an op that keeps its input's shape. */
function like(t: Tensor) {
  return [{ rows: t.rows, cols: t.cols }];
}

const addOp: Op = {
  name: "add",
  backward: (_node, [g]) => [g, g],
  expression: (_node, [a, b]) => `${a} + ${b}`,
};

/** a + b, of the same shape. */
export function add(a: Tensor, b: Tensor): Tensor { // [M, N] + [M, N] -> [M, N]
  return a.graph.node(addOp, [a, b], {}, like(a)).outputs[0]!;
}

const scaleOp: Op = {
  name: "scale",
  backward: (node, [g]) => [scale(g!, node.attrs.factor)],
  expression: (node, [x]) => `${x} * ${floatLiteral(node.attrs.factor)}`,
};

/** x · factor. */
export function scale(x: Tensor, factor: number): Tensor { // [M, N] -> [M, N]
  return x.graph.node(scaleOp, [x], { factor }, like(x)).outputs[0]!;
}

const identityOp: Op = {
  name: "identity",
  backward: (_node, [g]) => [g],
  expression: (_node, [x]) => x!,
};

/** A tensor of its own with the values of x. */
export function identity(x: Tensor): Tensor { // [M, N] -> [M, N]
  return x.graph.node(identityOp, [x], {}, like(x)).outputs[0]!;
}

/**
 * GELU by its tanh approximation (Hendrycks & Gimpel 2016, `gelu_new` of GPT-2). With tanh(z) = 2·sigmoid(2z) - 1 it is
 * x · sigmoid(2z), z = √(2/π)·(x + 0.044715·x³), which needs one exponential.
 */
const GELU_WGSL = `fn gelu_gate(x: vec4f) -> vec4f {
  let z2 = 1.5957691216057308 * x * (1.0 + 0.044715 * x * x);
  return 1.0 / (1.0 + exp(clamp(-z2, vec4f(-80.0), vec4f(80.0))));
}
fn gelu(x: vec4f) -> vec4f { return x * gelu_gate(x); }
fn gelu_slope(x: vec4f) -> vec4f {
  let s = gelu_gate(x);
  return s + x * s * (1.0 - s) * (1.5957691216057308 + 0.21406445 * x * x);
}`; // 0.21406445 = 3 * 0.044715 * 2 * sqrt(2 / pi)

const geluOp: Op = {
  name: "gelu",
  prelude: GELU_WGSL,
  backward: (node, [g]) => [geluBackward(node.inputs[0]!, g!)],
  expression: (_node, [x]) => `gelu(${x})`,
};

const geluBackwardOp: Op = {
  name: "gelu_backward",
  prelude: GELU_WGSL,
  expression: (_node, [x, g]) => `${g} * gelu_slope(${x})`,
};

/** GELU, element by element. */
export function gelu(x: Tensor): Tensor { // [M, N] -> [M, N]
  return x.graph.node(geluOp, [x], {}, like(x)).outputs[0]!;
}

function geluBackward(x: Tensor, g: Tensor): Tensor {
  return x.graph.node(geluBackwardOp, [x, g], {}, like(x)).outputs[0]!;
}

const reluSquaredOp: Op = {
  name: "relu_squared",
  backward: (node, [g]) => [reluSquaredBackward(node.inputs[0]!, g!)],
  expression: (_node, [x]) => `max(${x}, vec4f(0.0)) * max(${x}, vec4f(0.0))`,
};

const reluSquaredBackwardOp: Op = {
  name: "relu_squared_backward",
  expression: (_node, [x, g]) => `${g} * (2.0 * max(${x}, vec4f(0.0)))`,
};

/** max(x, 0)², element by element (So et al. 2021, "Primer"). */
export function reluSquared(x: Tensor): Tensor { // [M, N] -> [M, N]
  return x.graph.node(reluSquaredOp, [x], {}, like(x)).outputs[0]!;
}

function reluSquaredBackward(x: Tensor, g: Tensor): Tensor {
  return x.graph.node(reluSquaredBackwardOp, [x, g], {}, like(x)).outputs[0]!;
}

/** x · sigmoid(x), and its slope s + x·s·(1 - s) with s = sigmoid(x). */
const SILU_WGSL =
  `fn sigmoid(x: vec4f) -> vec4f { return 1.0 / (1.0 + exp(clamp(-x, vec4f(-80.0), vec4f(80.0)))); }
fn silu(x: vec4f) -> vec4f { return x * sigmoid(x); }
fn silu_slope(x: vec4f) -> vec4f {
  let s = sigmoid(x);
  return s + x * s * (1.0 - s);
}`;

const swigluOp: Op = {
  name: "swiglu",
  prelude: SILU_WGSL,
  backward(node, [g]) {
    const [gate, x] = node.inputs as [Tensor, Tensor];
    const { graph } = x;
    return [
      graph.node(swigluGateOp, [gate, x, g!], {}, like(x)).outputs[0]!,
      graph.node(swigluOp, [gate, g!], {}, like(x)).outputs[0]!, // d silu(gate)·x / dx is silu(gate) again
    ];
  },
  expression: (_node, [gate, x]) => `silu(${gate}) * ${x}`,
};

const swigluGateOp: Op = {
  name: "swiglu_gate",
  prelude: SILU_WGSL,
  expression: (_node, [gate, x, g]) => `${g} * ${x} * silu_slope(${gate})`,
};

/** silu(gate) · x, element by element (Shazeer 2020, "GLU Variants Improve Transformer"). */
export function swiglu(gate: Tensor, x: Tensor): Tensor { // [M, N], [M, N] -> [M, N]
  return x.graph.node(swigluOp, [gate, x], {}, like(x)).outputs[0]!;
}

const dropoutOp: Op = {
  name: "dropout",
  usesStep: true,
  prelude: `${RANDOM_WGSL}
fn dropout(x: vec4f, row: u32, col: u32, site: u32, threshold: u32, scale: f32) -> vec4f {
  let bits = random4(vec4u(col, row, site, step.index) ^ vec4u(0u, 0u, 0u, step.seed * 2654435769u));
  return select(vec4f(), x * scale, bits >= vec4u(threshold));
}`,
  backward: (node, [g]) => [dropout(g!, node.attrs.p, node.attrs.site)],
  expression: (node, [x]) => {
    const { p, site } = node.attrs;
    return `dropout(${x}, row, col, ${site}u, ${Math.round(p * 4294967296)}u, ${floatLiteral(1 / (1 - p))})`;
  },
};

/**
 * Dropout: each element is zero with probability `p`, else scaled by 1/(1-p). The mask is a pure function of the step's
 * seed and index, `site` (one number per place in the model) and the element, so its gradient draws the same mask again.
 */
export function dropout(x: Tensor, p: number, site: number): Tensor { // [M, N] -> [M, N]
  if (p === 0) return x;
  return x.graph.node(dropoutOp, [x], { p, site }, like(x)).outputs[0]!;
}

/** The root that an element-wise node gets when no producer can absorb it: its first input, read as it stands. */
export const copyOp: Op = {
  name: "elementwise",
  absorbs: true,
  lower(node: Node, lowering: Lowering) {
    const x = node.inputs[0]!;
    const rows = x.rows.groups * x.rows.size;
    const cols = lowering.cols4(x);
    const finish = lowering.finish();
    lowering.dispatch({
      node,
      label: "elementwise",
      args: [{ name: "x", tensor: x, access: "read" }, ...finish.args],
      body: `${finish.text}
@compute @workgroup_size(16) fn main(@builtin(global_invocation_id) gid: vec3u) {
${matrixPlace(rows, cols)}  finish(row, col, load_x(row, col));
}
`,
      workgroups: matrixGrid(rows, cols, 16),
      flops: rows * cols * 4,
    });
  },
};
