/** The optimizers by name. */

import { adamw } from "./adamw.ts";
import { adamw8bit } from "./adamw_8bit.ts";
import { lion } from "./lion.ts";
import { muon } from "./muon.ts";
import type { UpdateRule } from "./rule.ts";
import { sgd } from "./sgd.ts";
import type { OptimizerName } from "./state.ts";

/** What each optimizer does with a chunk. */
export const RULES: Record<OptimizerName, UpdateRule> = {
  adamw,
  adamw_8bit: adamw8bit,
  muon,
  lion,
  sgd,
};
