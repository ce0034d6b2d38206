/** What `gpu/tuning/` offers to the rest of `gpu/` and, through its door, to other rooms. */

export { candidates, type CandidateTarget, defaultChoice, isValid, LEAST_LIMITS } from "./candidates.ts";
export { type Choice, type Choices, choicesOf, type Site, siteKey } from "./choices.ts";
export {
  candidateTarget,
  tune,
  type TunedKernel,
  type TuneOptions,
  type TuningSite,
  tuningSites,
  winners,
} from "./tune.ts";
