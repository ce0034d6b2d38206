/**
 * Fusion: which element-wise nodes are computed inside the kernel that makes one of their inputs.
 *
 * A node joins the group of an input when that group's kernel hands its result on (`absorbs`) and everything else the
 * node reads is made by earlier groups. What is computed again joins only what is computed again: it would be made, and take
 * memory, too early. Nothing else is fused: matrix products, attention and norms bring their own.
 */

import type { Graph, Node, Tensor } from "./graph.ts";
import { copyOp } from "./kernels/elementwise/mod.ts";
import type { Group } from "./lower.ts";

/** The groups in an order in which they can run, and the group in which each node ended. */
export interface Fused {
  groups: Group[];
  groupOf: Map<Node, Group>;
}

/**
 * Fuses the live nodes of a graph.
 *
 * @param maxBindings storage bindings that a kernel may have
 * @param bindingsOf storage bindings that a tensor takes
 */
export function fuse(
  graph: Graph,
  live: Set<Node>,
  maxBindings: number,
  bindingsOf: (tensor: Tensor) => number,
): Fused {
  const total = (tensors: Tensor[]) => tensors.reduce((sum, t) => sum + bindingsOf(t), 0);
  const groups: Group[] = [];
  const groupOf = new Map<Node, Group>();
  const position = new Map<Group, number>();
  const lastWriter = new Map<Tensor, number>(); // of a parameter's gradient: contributions keep their order
  const positionOf = (t: Tensor) => t.node === undefined ? -1 : position.get(groupOf.get(t.node)!)!;

  for (const node of graph.nodes) {
    if (!live.has(node)) continue;
    if (node.op.expression === undefined) {
      open({ root: node, chain: [] }, node);
      continue;
    }
    const host = node.inputs
      .filter((t) => t.node !== undefined && isTail(t, groupOf.get(t.node)!))
      .map((t) => groupOf.get(t.node!)!)
      .filter((g) => g.root.op.absorbs === true && total([...operands(g), ...node.inputs]) <= maxBindings)
      .filter((g) =>
        node.inputs.every((t) =>
          t.node !== undefined && groupOf.get(t.node) === g || positionOf(t) < position.get(g)!
        )
      )
      .filter((g) =>
        node.outputs.every((t) =>
          t.target === undefined || position.get(g)! > (lastWriter.get(t.target) ?? -1)
        )
      )
      .filter((g) => !node.repeats || g.root.repeats)
      .at(-1);
    if (host === undefined) {
      const first = node.inputs[0]!;
      const root: Node = {
        id: node.id,
        op: copyOp,
        name: node.name,
        inputs: [first],
        outputs: [first],
        attrs: {},
        repeats: node.repeats,
      };
      open({ root, chain: [node] }, node);
    } else {
      host.chain.push(node);
      place(node, host);
    }
  }
  return { groups, groupOf };

  function open(group: Group, node: Node) {
    position.set(group, groups.length);
    groups.push(group);
    place(node, group);
  }

  function place(node: Node, group: Group) {
    groupOf.set(node, group);
    for (const { target } of node.outputs) {
      if (target !== undefined) lastWriter.set(target, position.get(group)!);
    }
  }
}

/** Whether a tensor is the root's first output or one of the fused results, that is, at hand inside `finish`. */
function isTail(t: Tensor, group: Group): boolean {
  return t === group.root.outputs[0] || group.chain.includes(t.node!);
}

/**
 * Tensors that take at least as many bindings as the kernel of a group does: of a fused node's inputs one is at hand, and
 * stands for the result, which is of its shape.
 */
function operands(group: Group): Tensor[] {
  return [...group.root.inputs, ...group.root.outputs, ...group.chain.flatMap((node) => node.inputs)];
}
