/** Dropout sites of a block, so that no two places of a model draw the same mask. */

/** Numbers of the sites: that of the embedding, and those of block `layer`, `layer × count` on. */
export const SITES = { embedding: 0, attention: 1, attention_out: 2, mlp_out: 3, count: 4 };
