/**
 * Which tile each kernel gets, where that is not its default: a plain object from a kernel's key to what was chosen, such as
 * the tuner's winners or what a run had when it began. Keys name the op and all of its shape that its speed depends on.
 * Leaves out how choices are found (`tune.ts`) and where they are kept.
 */

import type { CachedChoice, CachedShape } from "../kernels/attention/generate_cached.ts";
import type { AttentionShape, AttentionTiles } from "../kernels/attention/generate_text.ts";
import type { AttentionPattern } from "../kernels/attention/pattern.ts";
import type { MatmulMode, MatmulTile } from "../kernels/matmul/spec.ts";

/** A matrix product of a plan, sizes as in `MatmulSpec`. */
export interface MatmulSite {
  op: "matmul";
  mode: MatmulMode;
  M: number;
  N: number;
  K: number;
  /** NN: sums begin with a bias. TN: the bias's gradient is made on the way, and K may be cut into slices. */
  bias: boolean;
  /** Whether an operand stands in half precision. */
  half: boolean;
}

/** One of the three kernels of attention in training. */
export interface AttentionSite {
  op: "attention";
  kind: "forward" | "queries" | "keys";
  shape: AttentionShape;
  dropout: number;
  half: boolean;
}

/** Attention over a KV cache. */
export interface CachedSite {
  op: "cached attention";
  shape: CachedShape;
  half: boolean;
}

/** A kernel whose tile can be chosen. */
export type Site = MatmulSite | AttentionSite | CachedSite;

/** A product's tile, and for the gradient of a linear layer's weight the slices of K. */
export type MatmulChoice = MatmulTile & { splits?: number };

/** What may be chosen for a kernel. */
export type Choice = MatmulChoice | AttentionTiles | CachedChoice;

/** What is chosen for a kernel of one kind. */
export type ChoiceOf<S extends Site> = S extends MatmulSite ? MatmulChoice
  : S extends AttentionSite ? AttentionTiles
  : CachedChoice;

/** Choices by `siteKey`. */
export type Choices = Readonly<Record<string, Choice>>;

/** A kernel of a plan with the tile that it has. */
export interface Chosen<S extends Site = Site> {
  site: S;
  choice: ChoiceOf<S>;
}

/**
 * A kernel's name in `Choices`.
 *
 * @example
 * ```ts
 * import { siteKey } from "./choices.ts";
 * siteKey({ op: "matmul", mode: "NN", M: 768, N: 384, K: 128, bias: true, half: false }); // "matmul NN 768x384x128 bias"
 * ```
 */
export function siteKey(site: Site): string {
  return `${shapeKey(site)}${site.half ? " f16" : ""}`;
}

function shapeKey(site: Site): string {
  switch (site.op) {
    case "matmul":
      return `matmul ${site.mode} ${site.M}x${site.N}x${site.K}${site.bias ? " bias" : ""}`;
    case "attention": {
      const { B, T, H, hd } = site.shape;
      const dropout = site.dropout > 0 ? " dropout" : "";
      return `attention ${site.kind} B${B} T${T} H${H} hd${hd}${patternKey(site.shape)}${dropout}`;
    }
    case "cached attention": {
      const { B, N, T_max, H, hd } = site.shape;
      return `cached attention B${B} N${N} T${T_max} H${H} hd${hd}${patternKey(site.shape)}`;
    }
  }
}

/** In what attention differs from GPT-2's; nothing where it does not. */
function patternKey({ H, H_kv = H, alibi, sparse }: AttentionPattern & { H: number }): string {
  return [
    H_kv === H ? "" : ` kv${H_kv}`,
    alibi === true ? " alibi" : "",
    sparse === undefined ? "" : ` window${sparse.window} stride${sparse.stride}`,
  ].join("");
}

/** The tiles that the kernels of a plan have, defaults included: with these, a plan of the same shapes is the same. */
export function choicesOf(dispatches: readonly { chosen: Chosen | undefined }[]): Choices {
  return Object.fromEntries(
    dispatches.flatMap(({ chosen }) => chosen === undefined ? [] : [[siteKey(chosen.site), chosen.choice]]),
  );
}
