/**
 * The work that a model's mathematics asks for, whatever an engine does beside: the numerator of "model FLOPs utilization"
 * (A. Chowdhery et al., PaLM, arXiv:2204.02311, appendix B). Counted are products, two operations for each multiplication:
 * matrices with activations, queries with keys, weights with values. Left out, as there: norms, activations, softmax, the
 * optimizer, and whatever is computed a second time. Unlike there, keys that a query does not see are not counted.
 */

import type { Plan } from "../gpu/mod.ts";
import type { ModelConfig } from "./config.ts";
import { parameters } from "./parameters.ts";

/** Operations of a multiplication with a weight: forward, the input's gradient, the weight's own. */
const TRAINED = 6;
const FROZEN = 4;

/**
 * Operations of a training step for each token.
 *
 * @param plan of a micro-batch, whose attention is counted as its kernels' room says
 * @param tokens of the micro-batch
 */
export function modelFlopsPerToken(
  config: ModelConfig,
  plan: Pick<Plan, "dispatches">,
  tokens: number,
): number {
  const all = parameters(config);
  const hasHead = all.some(({ name }) => name === "lm_head.weight");
  let perToken = 0;
  for (const { name, shape: [from, to], frozen } of all) {
    const isLookup = name === "wpe.weight" || (name === "wte.weight" && hasHead);
    if (to === undefined || isLookup) continue;
    perToken += (frozen ? FROZEN : TRAINED) * from! * to;
  }
  return perToken + 3 * attentionFlops(plan) / tokens; // the gradients take twice what the forward pass does
}

/** Operations of the forward pass's attention. */
function attentionFlops({ dispatches }: Pick<Plan, "dispatches">): number {
  return dispatches.filter(({ name, label, phase }) =>
    phase === "forward" && name.split("/").at(-1) === "attention" && !label.includes("softmax")
  ).reduce((sum, { flops }) => sum + flops, 0);
}
