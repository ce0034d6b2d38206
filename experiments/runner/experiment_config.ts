/**
 * What an experiment is: the form of the files in `configs/experiments/`. Each field has its meaning and default here; what
 * the run configs that it names may hold is `pipeline/`'s business and checked there (`variants.ts`).
 */

import { parse as parsePath } from "path";
import { z } from "zod";
import {
  parseYamlFile,
  type Setting,
  userPath,
  validate,
  withSettings,
  type YamlFile,
} from "../../common/mod.ts";
import { METRICS } from "./metrics.ts";

const count = (description: string) => z.int().min(1).describe(description);
const seed = (description: string) => z.int().min(0).max(2 ** 32 - 1).describe(description);

/** A section of keys in which an empty one (`training:` and nothing below it) means no keys. */
const keys = (description: string) =>
  z.record(z.string(), z.unknown()).nullish().transform((value) => value ?? {}).describe(description);

const modelSchema = z.strictObject({
  name: z.string().trim().min(1).max(60).regex(/^[^\p{Cc}]*$/u, "text on one line")
    .describe("what the reports call it"),
  config: z.string().min(1).describe(
    "path of a run config (configs/models/…): from where you stand, else beside this file",
  ),
  params: keys("keys of the run config that differ: `model.n_layer: 2`, or sections: `model: {n_layer: 2}`"),
});

const rangeSchema = z.strictObject({
  min: z.number().describe("least value"),
  max: z.number().describe("largest value"),
  scale: z.enum(["linear", "log"]).describe("log: each factor is as likely as any other").default("linear"),
  integer: z.boolean().describe("whole numbers only").default(false),
}).check(({ value: { min, max, scale }, issues }) => {
  const fault = (key: string, input: number, message: string) =>
    issues.push({ code: "custom", path: [key], input, message });
  if (max <= min) fault("max", max, `${max} is not more than min ${min}`);
  if (scale === "log" && min <= 0) fault("min", min, `${min} must be more than 0 on a log scale`);
});

/** The fields of `sweep`. */
const sweepSchema = z.strictObject({
  method: z.enum(["grid", "random", "halving", "asha"]).default("grid").describe(
    "grid: every combination; random: drawn ones; halving: all begin, the best go on; asha: the same without waiting",
  ),
  parameters: z.record(
    z.string(),
    z.union([z.array(z.unknown()).min(1), rangeSchema]),
  ).describe("keys of the run config, each with a list of values or a range {min, max, scale}"),
  trials: count(
    "random, halving, asha: how many combinations to draw; of lists alone all are taken when left out",
  )
    .optional(),
  seed: seed("seed of what is drawn").default(1),
  factor: z.int().min(2).describe("halving, asha: one in so many goes on, with so many times the steps")
    .default(3),
  rungs: z.int().min(2).max(10).describe("halving, asha: how often is chosen, and the end").default(3),
}).check(({ value: { method, parameters, trials }, issues }) => {
  const fault = (path: string[], message: string) =>
    issues.push({ code: "custom", path, input: undefined, message });
  if (Object.keys(parameters).length === 0) fault(["parameters"], "expected at least one key to vary");
  const range = Object.entries(parameters).find(([, values]) => !Array.isArray(values))?.[0];
  if (method === "grid" && range !== undefined) {
    fault(["parameters", range], "a grid needs a list of values; a range is for random, halving and asha");
  }
  if (method === "grid" && trials !== undefined) fault(["trials"], "is not used by a grid, which takes all");
  if (range !== undefined && method !== "grid" && trials === undefined) {
    fault([], "trials is missing: how many combinations to draw from the ranges");
  }
});

/** The fields of `budget`: one of the three. */
const budgetSchema = z.strictObject({
  tokens: z.number().positive().describe("tokens that every run trains on").optional(),
  flops: z.number().positive().describe("floating-point operations of every run's training").optional(),
  seconds: z.number().positive().describe("training time of every run, by a measured rate").optional(),
}).refine((budget) => Object.values(budget).filter((value) => value !== undefined).length === 1, {
  error: "expected exactly one of tokens, flops and seconds",
});

/** The fields of `monitoring`: how closely runs are watched, whatever the number of their steps. */
const monitoringSchema = z.strictObject({
  evaluations: count("evaluations on the way of a run, evenly spread").default(10),
  log_points: count("lines of metrics on the way of a run").default(50),
  checkpoints: z.int().min(0).describe("checkpoints on the way, from which a killed run goes on").default(2),
  interval_seconds: z.number().min(0).describe("seconds between two looks at memory, power and load; 0: none")
    .default(5),
});

/** The fields of `output`. */
const outputSchema = z.strictObject({
  runs_dir: z.string().min(1).describe("folder of the runs; the experiment is in its folder `experiments`")
    .default("runs"),
  formats: z.array(z.enum(["markdown", "html"])).describe("reports beside results.yaml")
    .default(["markdown", "html"]),
  keep_checkpoints: z.boolean().describe("whether runs keep their weights after their end").default(true),
});

/** The form of an experiment's file. */
export const experimentSchema = z.strictObject({
  name: z.string().regex(/^[\w-][\w.-]*$/, "text of letters, digits, _, - and .").max(60)
    .describe("first part of the experiment's folder"),
  description: z.string().describe("the question that it answers; Markdown").default(""),
  models: z.array(modelSchema).min(1).describe(
    "what is compared; the first is what others are compared with",
  ),
  training: keys("keys of the section training for all models; a model's params go before them"),
  seeds: z.array(seed("a seed of weights, order of data and dropout")).min(1)
    .describe("each model is trained once with each seed").default([1]),
  sweep: sweepSchema.nullish().describe("keys to vary, for each model"),
  budget: budgetSchema.nullish().describe("what every run gets alike; left out, each its own max_steps"),
  metrics: z.array(z.enum(METRICS)).min(1).describe("what is compared; the first one decides")
    .default(["val_bits_per_byte", "val_loss", "train_loss"]),
  monitoring: monitoringSchema.default(monitoringSchema.parse({})),
  output: outputSchema.default(outputSchema.parse({})),
}).check(({ value: { models, seeds }, issues }) => {
  const fault = (path: (string | number)[], message: string) =>
    issues.push({ code: "custom", path, input: undefined, message });
  const names = models.map(({ name }) => name);
  const again = names.findIndex((name, i) => names.indexOf(name) < i);
  if (again >= 0) {
    fault(["models", again, "name"], `there are two models named ${JSON.stringify(names[again])}`);
  }
  const twice = seeds.findIndex((value, i) => seeds.indexOf(value) < i);
  if (twice >= 0) fault(["seeds", twice], `${seeds[twice]} is there twice`);
});

/** An experiment's file with defaults filled in. */
export type ExperimentConfig = z.output<typeof experimentSchema>;

/** What a sweep varies, and how. */
export type Sweep = z.output<typeof sweepSchema>;

/** What every run gets alike. */
export type Budget = z.output<typeof budgetSchema>;

/** An experiment as its file says it, with the places of its keys. */
export interface ExperimentFile {
  config: ExperimentConfig;
  yaml: YamlFile;
  /** What `--set` gave for run configs, in order. */
  set: readonly Setting[];
}

/** Sections of a run config: `--set training.x` is laid over every run, all else over the experiment's file. */
const RUN_SECTIONS = ["model", "data", "training", "generation", "tracking"];

/**
 * Reads and checks an experiment's file.
 *
 * @param set what the command line says otherwise: keys of the file (`budget.tokens`), or of all run configs (`training.x`)
 * @throws UserError that names file and line.
 */
export async function readExperiment(
  path: string,
  set: readonly Setting[] = [],
): Promise<ExperimentFile> {
  const isOfRuns = ({ path: [section] }: Setting) => RUN_SECTIONS.includes(section!);
  const file = await parseYamlFile(userPath(path));
  const yaml = withSettings(file, set.filter((setting) => !isOfRuns(setting)));
  const value = yaml.value instanceof Object && !Array.isArray(yaml.value)
    ? { name: parsePath(path).name, ...yaml.value }
    : yaml.value;
  return { config: validate(experimentSchema, value, yaml), yaml, set: set.filter(isOfRuns) };
}
