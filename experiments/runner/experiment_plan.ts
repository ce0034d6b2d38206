/**
 * What an experiment will do, known before any of it is done: each variant's size, work and memory, and the steps that its budget
 * pays for. Allocates nothing on the device; corpora are prepared, since their tokenizers are part of the models.
 */

import { basename } from "path";
import { z } from "zod";
import { sha256, UserError } from "../../common/mod.ts";
import { type Dataset, prepare } from "../../data/mod.ts";
import type { Gpu } from "../../gpu/mod.ts";
import { modelOf, planReport, type RunConfig } from "../../pipeline/mod.ts";
import type { ExperimentConfig, ExperimentFile } from "./experiment_config.ts";
import { rungSteps } from "./halving.ts";
import { runConfigOf, type Variant, variantsOf } from "./variants.ts";

/** The form of a variant with what it takes, as `experiment.json` keeps it. */
export const plannedVariantSchema = z.object({
  name: z.string(),
  model: z.string(),
  /** The sweep's values by key of the run config. */
  values: z.record(z.string(), z.unknown()),
  parameters: z.number(),
  /** Kind of its tokenizer and its number of tokens: losses per token compare only where both are the same. */
  tokenizer: z.string(),
  vocab_size: z.number(),
  tokens_per_step: z.number(),
  /** Floating-point operations of an optimizer step. */
  flops_per_step: z.number(),
  /** Memory on the device, as planned. */
  device_memory_bytes: z.number(),
  /** Steps of its whole training. */
  max_steps: z.number(),
  /** Steps at which is chosen who goes on, the last one the end; the end alone where nothing is chosen. */
  rungs: z.array(z.number()),
});

/** A variant with what it takes. */
export type PlannedVariant = z.output<typeof plannedVariantSchema>;

/** An experiment that is ready to begin. */
export interface ExperimentPlan {
  file: ExperimentFile;
  /** Of all that decides the results: an unfinished experiment of the same digest goes on. */
  digest: string;
  /** The adapter's name. */
  adapter: string;
  variants: Variant[];
  planned: PlannedVariant[];
  /** Folder of each variant's prepared dataset, by its name; absent where the tokenizer is that of a model to begin with. */
  datasets: ReadonlyMap<string, string>;
}

/** Steps per second of a variant, measured; undefined where it cannot be trained. */
export type MeasureRate = (variant: Variant, config: RunConfig) => Promise<number | undefined>;

/**
 * Checks all that can be checked before the first run, and plans. `budget.seconds` is left for `withTimeBudget`.
 *
 * @param note gets a line before what may take a while
 * @throws UserError with file and line for what is wrong in the experiment or a run config, and for a budget of less than a step.
 */
export async function planExperiment(
  file: ExperimentFile,
  gpu: Gpu,
  note: (line: string) => void = () => {},
): Promise<ExperimentPlan> {
  const { config } = file;
  const variants = await variantsOf(file);
  const decided: unknown[] = [];
  const planned: PlannedVariant[] = [];
  const datasets = new Map<string, string>();
  const known = new Map<string, Dataset>();
  const prepared = async (data: RunConfig["data"]): Promise<Dataset> => {
    const key = JSON.stringify(data);
    const dataset = known.get(key);
    if (dataset !== undefined) return dataset;
    note(`preparing ${data.corpus}, tokenizer ${data.tokenizer}`);
    known.set(key, await prepare(data));
    return known.get(key)!;
  };
  for (const variant of variants) {
    const run = await runConfigOf(variant, config, { seed: config.seeds[0]!, name: "planned" });
    const { data, training: { init_from } } = run;
    const dataset = init_from === undefined ? await prepared(data) : undefined;
    if (dataset !== undefined) datasets.set(variant.name, dataset.folder);
    const model = modelOf(run, dataset?.tokenizer.vocab_size);
    const report = planReport(model, run.training, gpu);
    const { tokens_per_step, flops_per_step, parameters, memory } = report;
    const plan: PlannedVariant = {
      name: variant.name,
      model: variant.model,
      values: { ...variant.values },
      parameters,
      tokenizer: dataset?.tokenizer.kind ?? `of ${init_from}`,
      vocab_size: dataset?.tokenizer.vocab_size ?? model.vocab_size,
      tokens_per_step,
      flops_per_step,
      device_memory_bytes: memory.total,
      max_steps: run.training.max_steps,
      rungs: [],
    };
    planned.push(withSteps(plan, stepsOf(plan, config, file), file));
    const { tracking: _runs, ...trained } = run;
    decided.push([variant.name, trained, basename(dataset?.folder ?? "")]);
  }
  const { name, seeds, sweep, budget, metrics: [metric] } = config;
  const digest = sha256(JSON.stringify([name, seeds, sweep, budget, metric, decided]));
  return { file, digest, adapter: gpu.adapter.name, variants, planned, datasets };
}

/** The plan with the steps that `budget.seconds` pays for at measured rates. A variant without one keeps its own steps. */
export async function withTimeBudget(plan: ExperimentPlan, measure: MeasureRate): Promise<ExperimentPlan> {
  const { config } = plan.file;
  const seconds = config.budget?.seconds;
  if (seconds === undefined) return plan;
  const planned: PlannedVariant[] = [];
  for (const [i, variant] of plan.variants.entries()) {
    const run = await runConfigOf(variant, config, { seed: config.seeds[0]!, name: "pilot" });
    const rate = await measure(variant, run);
    const steps = rate === undefined ? undefined : Math.floor(rate * seconds);
    planned.push(steps === undefined ? plan.planned[i]! : withSteps(plan.planned[i]!, steps, plan.file));
  }
  return { ...plan, planned };
}

/** Steps that the budget pays for; the variant's own where there is none, or one in seconds. */
function stepsOf(plan: PlannedVariant, { budget }: ExperimentConfig, file: ExperimentFile): number {
  if (budget?.tokens !== undefined) {
    return payable(budget.tokens / plan.tokens_per_step, "tokens", plan, file);
  }
  if (budget?.flops !== undefined) return payable(budget.flops / plan.flops_per_step, "flops", plan, file);
  return plan.max_steps;
}

function payable(
  steps: number,
  key: "tokens" | "flops",
  plan: PlannedVariant,
  { yaml }: ExperimentFile,
): number {
  if (steps >= 1) return Math.floor(steps);
  const cost = key === "tokens" ? plan.tokens_per_step : plan.flops_per_step;
  const line = yaml.lineOf(["budget", key]);
  throw new UserError(`budget.${key} does not pay for one step of ${plan.name}, which takes ${cost}`, {
    file: yaml.file,
    ...(line === undefined ? {} : { line }),
    hint: "give more, or lower training.batch_size",
  });
}

/** The plan with a number of steps, and the rungs that its sweep makes of them. */
function withSteps(
  plan: PlannedVariant,
  steps: number,
  { config: { sweep }, yaml }: ExperimentFile,
): PlannedVariant {
  const max_steps = Math.max(1, steps);
  if (sweep == null || (sweep.method !== "halving" && sweep.method !== "asha")) {
    return { ...plan, max_steps, rungs: [max_steps] };
  }
  const rungs = rungSteps(max_steps, sweep);
  if (rungs !== undefined) return { ...plan, max_steps: rungs.at(-1)!, rungs };
  const line = yaml.lineOf(["sweep", "rungs"]);
  throw new UserError(
    `${max_steps} steps of ${plan.name} are too few for ${sweep.rungs} rungs, each with ${sweep.factor} times the steps of ` +
      "the one below",
    {
      file: yaml.file,
      ...(line === undefined ? {} : { line }),
      hint: "lower sweep.rungs or give more steps",
    },
  );
}
