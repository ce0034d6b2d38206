/**
 * Reverse-mode differentiation over the symbolic graph: `gradients(loss, parameters)` appends the backward nodes.
 *
 * Each op brings its own rule; here is only the order and the summing of contributions. A gradient of a parameter is
 * not a tensor of its own but a slot of the gradient buffer: the first contribution overwrites it, later ones add.
 *
 * Of what is to be computed again (`Graph.recompute`) the rules see twins: when the way back comes to a node of such a run, or
 * to one that reads its results, all of the run is added once more, and what nobody needs of that the planner drops.
 */

import type { Graph, Node, RecomputedRun, Tensor } from "./graph.ts";
import { add, identity } from "./kernels/elementwise/mod.ts";

/** Options of `gradients`. */
export interface GradientOptions {
  /** Add to what the gradient buffer holds (several micro-batches a step); it is then cleared at the step's start. */
  accumulate?: boolean;
}

/**
 * Adds the nodes that compute d loss / d parameter for every parameter given.
 *
 * @throws Error when an op on the path has no gradient rule, or a parameter does not reach the loss.
 */
export function gradients(loss: Tensor, parameters: Tensor[], options: GradientOptions = {}): void {
  const graph = loss.graph;
  graph.backwardFrom = Math.min(graph.backwardFrom, graph.nodes.length);
  const contributions = new Map<Tensor, Tensor[]>();
  const wanted = new Set(parameters);
  const reaches = needsGradient(graph.nodes.length, loss, wanted);
  const twinOf = twins(graph);

  for (let i = loss.node?.id ?? -1; i >= 0; i--) {
    const node = graph.nodes[i]!;
    const isLoss = node === loss.node;
    const incoming = node.outputs.map((output) => sum(contributions.get(output)));
    if (!reaches.has(node.id) || (!isLoss && incoming.every((g) => g === undefined))) continue;
    if (node.op.backward === undefined) throw new Error(`${node.name}: no gradient rule`);
    const twin = twinOf(node);
    const outgoing = graph.scope(`d ${node.name}`, () => twin.op.backward!(twin, incoming));
    node.inputs.forEach((input, k) => {
      const gradient = outgoing[k];
      if (gradient === undefined) return;
      const list = contributions.get(input) ?? [];
      list.push(gradient);
      contributions.set(input, list);
    });
  }

  const read = new Set(graph.nodes.flatMap((node) => node.inputs));
  for (const parameter of parameters) {
    const list = contributions.get(parameter);
    if (list === undefined) throw new Error(`parameter ${parameter.name} does not reach the loss`);
    const slots = list.map((contribution) => {
      const own = contribution.node !== undefined && contribution.target === undefined &&
        !read.has(contribution);
      const gradient = own ? contribution : identity(contribution); // of `add`, say, both gradients are one tensor
      gradient.target = parameter;
      return gradient;
    });
    slots.sort((a, b) => a.node!.id - b.node!.id); // the order in which they run
    slots.forEach((gradient, k) => gradient.accumulate = options.accumulate === true || k > 0);
  }
}

/**
 * What the gradient rule of a node looks at: the node itself, or its twin in a run that is computed again, or the node with
 * the twins of its inputs.
 */
function twins(graph: Graph): (node: Node) => Node {
  const done = new Set<RecomputedRun>();
  const made = new Map<Node, Node>();
  const repeated = new Map<Tensor, Tensor>();
  const runOf = (node: Node) => graph.recomputed.find(({ first, end }) => first <= node.id && node.id < end);

  const repeat = (run: RecomputedRun) => {
    if (done.has(run)) return;
    done.add(run);
    for (const node of graph.nodes.slice(run.first, run.end)) {
      const twin = graph.repeat(node, node.inputs.map((input) => standIn(input, run)));
      made.set(node, twin);
      node.outputs.forEach((output, i) => repeated.set(output, twin.outputs[i]!));
    }
  };
  /** What is read in a tensor's place, by nodes of the run `reader` or of none. */
  const standIn = (tensor: Tensor, reader?: RecomputedRun): Tensor => {
    const run = tensor.node && runOf(tensor.node);
    if (run === undefined || run !== reader && run.kept.includes(tensor)) return tensor;
    repeat(run);
    return repeated.get(tensor)!;
  };

  return (node) => {
    const run = runOf(node);
    if (run !== undefined) {
      repeat(run);
      return made.get(node)!;
    }
    const inputs = node.inputs.map((input) => standIn(input));
    return inputs.every((input, i) => input === node.inputs[i]) ? node : { ...node, inputs };
  };
}

/** Ids of the nodes through which a wanted parameter reaches the loss. */
function needsGradient(count: number, loss: Tensor, wanted: Set<Tensor>): Set<number> {
  const needed = new Set<number>();
  for (let i = 0; i < count; i++) {
    const node = loss.graph.nodes[i]!;
    const touches = node.inputs.some((t) => wanted.has(t) || (t.node !== undefined && needed.has(t.node.id)));
    if (touches) needed.add(i);
  }
  return needed;
}

/** The sum of the contributions to one tensor's gradient, in their order. */
function sum(list: Tensor[] | undefined): Tensor | undefined {
  if (list === undefined) return undefined;
  return list.reduce((total, next) => add(total, next));
}
