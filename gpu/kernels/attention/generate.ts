/** WGSL text of causal flash attention: forward, backward, and attention over a key-value cache. */

export { forward, type ForwardOptions } from "./generate_forward.ts";
export { backwardKeys, type BackwardOptions, backwardQueries } from "./generate_backward.ts";
export {
  cachedAppend,
  cachedAttention,
  type CachedChoice,
  type CachedShape,
  cachedSplit,
  cachedTile,
} from "./generate_cached.ts";
export { type AttentionDropout, keepFunction } from "./generate_dropout.ts";
export type { AttentionKernel, AttentionShape, AttentionTiles } from "./generate_text.ts";
export { type AttentionPattern, keyHeads, type Sparsity } from "./pattern.ts";
