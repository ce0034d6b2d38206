/**
 * What an experiment compares: each model with each combination of its sweep is a variant. Here its run config is put together
 * and checked; every mistake is one error with the file and line that it stands in.
 *
 * A key's value is the last of: the run config, `monitoring`, the experiment's `training`, the model's `params`, the sweep's value,
 * `--set`. Seed, steps of a budget and the run's name belong to the experiment alone.
 */

import { join } from "path";
import { exists, type Setting, UserError, userPath, type YamlFile, type YamlPath } from "../../common/mod.ts";
import { type PlacedSetting, resolveRunConfig, type RunConfig } from "../../pipeline/mod.ts";
import type { ExperimentConfig, ExperimentFile } from "./experiment_config.ts";
import { pointLabel, type SweepPoint, sweepPoints } from "./sweep.ts";

/** One of the things that are compared. */
export interface Variant {
  /** What the reports call it: the model's name, with the sweep's values if there are any. */
  name: string;
  model: string;
  /** The sweep's values by key. */
  values: SweepPoint;
  /** The run config's path, as `resolveRunConfig` takes it. */
  configPath: string;
  /** What the experiment lays over it. */
  laid: PlacedSetting[];
  set: readonly Setting[];
}

/** What the experiment itself says of a run. */
export interface RunOptions {
  seed: number;
  /** First part of the run's folder. */
  name: string;
  /** The steps of a budget; the configuration's own when left out. */
  max_steps?: number | undefined;
  /** Steps between evaluations; spread by `monitoring` when left out. */
  eval_interval?: number | undefined;
}

/**
 * The variants of an experiment, in order. Their configurations are not looked at yet.
 *
 * @throws UserError for a model's config that is missing, and keys that are not a variant's to say.
 */
export async function variantsOf(file: ExperimentFile): Promise<Variant[]> {
  const { config, yaml, set } = file;
  const sweptKeys = Object.keys(config.sweep?.parameters ?? {});
  const points = config.sweep == null ? [{}] : sweepPoints(config.sweep);
  const common = placed(config.training, ["training"], ["training"], yaml);
  const variants: Variant[] = [];
  for (const [i, model] of config.models.entries()) {
    const configPath = await configOf(model.config, i, yaml);
    const params = placed(model.params, [], ["models", i, "params"], yaml);
    for (const point of points) {
      const values = Object.entries(point).map(([key, value]): PlacedSetting => ({
        path: key.split("."),
        value,
        file: yaml.file,
        line: yaml.lineOf(["sweep", "parameters", key]),
      }));
      const label = pointLabel(point, sweptKeys);
      const named = config.models.length > 1 || label === "" ? `${model.name} ${label}`.trim() : label;
      const laid = [...common, ...params, ...values];
      checkKeys([...laid, ...set.map((setting) => ({ ...setting, file: "--set" }))], config);
      variants.push({ name: named, model: model.name, values: point, configPath, laid, set });
    }
  }
  return variants;
}

/**
 * The configuration of one of a variant's runs.
 *
 * @throws UserError with the file and line of what is wrong.
 */
export async function runConfigOf(
  { configPath, laid, set }: Variant,
  { monitoring, output }: ExperimentConfig,
  { seed, name, max_steps, eval_interval }: RunOptions,
): Promise<RunConfig> {
  const flags = {
    "training.seed": seed,
    "training.max_steps": max_steps,
    "tracking.name": name,
    "tracking.runs_dir": output.runs_dir,
    "tracking.monitor_interval": monitoring.interval_seconds,
  };
  const { training } = await resolveRunConfig({ configPath, laid, set, flags });
  const every = (times: number) => Math.max(1, Math.floor(training.max_steps / times));
  const watching = {
    eval_interval: eval_interval ?? every(monitoring.evaluations),
    log_interval: every(monitoring.log_points),
    checkpoint_interval: monitoring.checkpoints === 0 ? 0 : every(monitoring.checkpoints + 1),
    keep_checkpoints: 1,
    sample_interval: 0,
  };
  const watched = Object.entries(watching).map(([key, value]): PlacedSetting => ({
    path: ["training", key],
    value,
    file: "monitoring",
  }));
  const config = await resolveRunConfig({ configPath, laid: [...watched, ...laid], set, flags });
  if (eval_interval === undefined) return config;
  return { ...config, training: { ...config.training, eval_interval } };
}

/** Keys that are not a variant's to say, and where they belong. */
function checkKeys(settings: readonly PlacedSetting[], { budget }: ExperimentConfig): void {
  for (const { path, file, line } of settings) {
    const key = path.join(".");
    const hint = key === "training.seed"
      ? "give seeds as the list `seeds` of the experiment"
      : path[0] === "tracking"
      ? "the experiment names its runs itself; output.runs_dir says where they are kept"
      : key === "training.max_steps" && budget != null
      ? "the budget says how many steps there are; leave out one of the two"
      : undefined;
    if (hint === undefined) continue;
    throw new UserError(`${key} cannot be set here`, { file, ...(line === undefined ? {} : { line }), hint });
  }
}

/** The keys of a section, or of sections, of the experiment's file as settings with their lines. */
function placed(
  keys: Record<string, unknown>,
  prefix: string[],
  at: YamlPath,
  yaml: YamlFile,
): PlacedSetting[] {
  return Object.entries(keys).flatMap(([key, value]): PlacedSetting[] => {
    const place = [...at, key];
    const path = [...prefix, ...key.split(".")];
    const isSection = path.length === 1 && typeof value === "object" && value !== null &&
      !Array.isArray(value);
    if (isSection) return placed(value as Record<string, unknown>, path, place, yaml);
    return [{ path, value, file: yaml.file, line: yaml.lineOf(place) }];
  });
}

/** The path of a model's config: from where the user stands, else beside the experiment's file. */
async function configOf(config: string, model: number, yaml: YamlFile): Promise<string> {
  for (const path of [userPath(config), join(userPath(yaml.file), "..", config)]) {
    if (await exists(path)) return path;
  }
  const line = yaml.lineOf(["models", model, "config"]);
  throw new UserError(`models.${model}.config: there is no file ${config}`, {
    file: yaml.file,
    ...(line === undefined ? {} : { line }),
    hint: "give the path of a run config, such as configs/models/chatgot_tiny_char.yaml",
  });
}
