/**
 * A run's configuration: read from a file, laid over with flags, checked and completed.
 *
 * A file may hold any of the sections model, data, training, generation and tracking. `data: <path>` names another file,
 * whose path starts where the user stands, else beside the file that names it. A key's value is the last of: its default,
 * the data file, the file, `--set section.key=value`, the key's own flag. Every mistake is one `UserError` with file
 * and line, or with the flag.
 */
import { parse as parsePath } from "path";
import { stringify } from "yaml";
import { z } from "zod";
import {
  parseYaml,
  parseYamlFile,
  type Setting,
  UserError,
  userPath,
  validate,
  withSettings,
  type YamlFile,
  type YamlPath,
} from "../common/mod.ts";
import { DataConfig, dataSection } from "../data/mod.ts";
import { conflict, initialModelLayer } from "./initial_model.ts";
import { type ModelSection, modelSectionSchema } from "../models/mod.ts";
import {
  type GenerationConfig,
  generationSectionSchema,
  type TrackingConfig,
  trackingSectionSchema,
  type TrainingConfig,
  trainingConfig,
  trainingSectionSchema,
} from "./config.ts";

/** A run's configuration with nothing open but the vocabulary's size, which the data's tokenizer settles. */
export interface RunConfig {
  model: ModelSection;
  data: DataConfig;
  training: TrainingConfig;
  generation: GenerationConfig;
  tracking: TrackingConfig & { name: string };
}

/** A setting that stands in a file. */
export interface PlacedSetting extends Setting {
  /** The file's name as errors give it; a path in the setting starts where the user stands, else beside it. */
  file: string;
  /** The line, from 1. */
  line?: number | undefined;
}

/** Where a run's configuration comes from. */
export interface RunConfigSource {
  /** Path of the file; defaults alone when left out. */
  configPath?: string | undefined;
  /** What `--set` gave, in order. */
  set?: readonly Setting[];
  /** What another file says about this run, such as that of an experiment, in order; `set` and `flags` go before it. */
  laid?: readonly PlacedSetting[];
  /** What flags of their own gave, by key (`"training.max_steps"`); undefined ones were not given. */
  flags?: Readonly<Record<string, unknown>>;
  /** The file is that of a run, with all settled: the model that it began with is not looked at again. @default false */
  settled?: boolean;
}

/** What a file may hold; each section is then checked by its own schema. */
const fileSchema = z.strictObject({
  model: z.unknown().optional(),
  data: z.unknown().optional(),
  training: z.unknown().optional(),
  generation: z.unknown().optional(),
  tracking: z.unknown().optional(),
});

/** Stands for the file where there is none. */
const NO_FILE = "";

/** A setting that goes before the files, with its place: a file, or the flag as the user typed it. */
type Override = PlacedSetting;

/**
 * Reads and checks a run's configuration.
 *
 * @throws UserError that names the file and line, or the flag, and what was expected.
 *
 * @example
 * ```ts
 * import { resolveRunConfig } from "./run_config.ts";
 * const { training } = await resolveRunConfig({ flags: { "training.max_steps": 500 } });
 * console.log(training.max_steps, training.max_seq_length); // 500 64
 * ```
 */
export async function resolveRunConfig(
  { configPath, laid = [], set = [], flags = {}, settled = false }: RunConfigSource,
): Promise<RunConfig> {
  const overrides: Override[] = [
    ...laid,
    ...set.map((setting) => ({ ...setting, file: `--set ${setting.path.join(".")}` })),
    ...Object.entries(flags).flatMap(([key, value]) =>
      value === undefined ? [] : { path: key.split("."), value, file: flagOf(key) }
    ),
  ];
  const file = configPath === undefined ? parseYaml("", NO_FILE) : await parseYamlFile(userPath(configPath));
  const own = await layers(file, overrides);
  const sources = settled ? own : await withInitialModel(own, overrides);
  const config = combine(sources, overrides);
  check(fileSchema, [], config, sources, overrides);
  const section = <S extends z.ZodType>(name: string, schema: S) =>
    check(schema, [name], config, sources, overrides);
  const model = section("model", modelSectionSchema);
  const training = trainingConfig(section("training", trainingSectionSchema), model.n_positions);
  if (training.max_seq_length > model.n_positions) {
    throw fault(
      new UserError(
        `training.max_seq_length ${training.max_seq_length} is more than model.n_positions ${model.n_positions}`,
        { hint: "shorten the sequences, or give the model more positions" },
      ),
      ["training", "max_seq_length"],
      sources,
      overrides,
    );
  }
  const tracking = section("tracking", trackingSectionSchema);
  const name = tracking.name ?? (configPath === undefined ? "run" : parsePath(configPath).name);
  const { init_from } = training;
  return {
    model,
    data: section("data", DataConfig),
    training: init_from === undefined ? training : { ...training, init_from: userPath(init_from) },
    generation: section("generation", generationSectionSchema),
    tracking: { ...tracking, name },
  };
}

/**
 * A resolved configuration as the text of a file that gives the same again.
 *
 * @example
 * ```ts
 * import { resolveRunConfig, toYaml } from "./run_config.ts";
 * console.log(toYaml(await resolveRunConfig({})));
 * ```
 */
export function toYaml(config: RunConfig): string {
  return stringify(config, { blockQuote: false });
}

/** The files that a configuration is made of, each a plain tree with its lines, the weakest first. */
async function layers(file: YamlFile, overrides: Override[]): Promise<YamlFile[]> {
  validate(fileSchema, file.value, file);
  const settings = overrides.filter(namesDataFile);
  const last = settings.at(-1);
  const named = last === undefined
    ? file
    : { ...withSettings(file, settings), file: last.file, lineOf: () => last.line };
  const data = await dataSection(named);
  if (data.file === named.file) return [named];
  const dataFile = await parseYamlFile(userPath(data.file));
  validate(fileSchema, dataFile.value, dataFile);
  const { data: _path, ...own } = file.value as Sections;
  return [dataFile, { ...file, value: own }];
}

/**
 * The files with the configuration of the model that training begins with under them, if it begins with one.
 *
 * @throws UserError when they say another model, with both places.
 */
async function withInitialModel(sources: YamlFile[], overrides: Override[]): Promise<YamlFile[]> {
  const { training, model } = combine(sources, overrides).value as Sections;
  const init_from = isSection(training) ? training.init_from : undefined;
  if (typeof init_from !== "string" || init_from === "") return sources;
  const initial = await initialModelLayer(init_from);
  const section = isSection(model) ? model : {};
  const found = conflict(section, initial);
  if (found !== undefined) throw fault(found.error, ["model", found.key], sources, overrides);
  const { embd_pdrop, resid_pdrop, attn_pdrop, attention_type, window, sparsity_factor, ...others } =
    initial.value.model;
  const dropouts = section.dropout === undefined ? { embd_pdrop, resid_pdrop, attn_pdrop } : {};
  const sparsity = attention_type === "sparse" ? { window, sparsity_factor } : {};
  const attention = section.attention_type === undefined ? { attention_type, ...sparsity } : {};
  return [{ ...initial, value: { model: { ...others, ...dropouts, ...attention } } }, ...sources];
}

/** The files and the command line in one tree. */
function combine(sources: YamlFile[], overrides: Override[]): YamlFile {
  return withSettings(merge(sources), overrides.filter((override) => !namesDataFile(override)));
}

/** Whether a setting is `--set data=<path>`. */
function namesDataFile({ path, value }: Setting): boolean {
  return path.length === 1 && path[0] === "data" && typeof value === "string";
}

/** One tree out of several: of the keys of a section, the later file's win. An empty section is one without keys. */
function merge(files: YamlFile[]): YamlFile {
  const merged: Sections = {};
  for (const { value } of files) {
    for (const [name, section] of Object.entries(value as Sections)) {
      const before = merged[name];
      merged[name] = isSection(before) && isSection(section) ? { ...before, ...section } : section ?? {};
    }
  }
  return { ...files.at(-1)!, value: merged };
}

/** Validates the tree or one section of it; a mistake is told with the file or the flag that it came from. */
function check<S extends z.ZodType>(
  schema: S,
  prefix: [string] | [],
  config: YamlFile,
  sources: YamlFile[],
  overrides: Override[],
): z.output<S> {
  const value = prefix.length === 0 ? config.value : (config.value as Sections)[prefix[0]] ?? {};
  const faults: YamlPath[] = [];
  const lineOf = (path: YamlPath) => {
    faults.push(path);
    return holder(path, sources).lineOf(path);
  };
  try {
    return validate(schema, value, { prefix, lineOf });
  } catch (error) {
    throw error instanceof UserError ? fault(error, faults[0] ?? prefix, sources, overrides) : error;
  }
}

/** The error with the place of a path: that of the last setting that set it, else the file and line it stands in. */
function fault(
  { message, hint }: UserError,
  path: YamlPath,
  sources: YamlFile[],
  overrides: Override[],
): UserError {
  const override = overrides.findLast((o) => o.path.every((key, i) => i >= path.length || key === path[i]));
  const source = holder(path, sources);
  const file = override?.file ?? source.file;
  const line = override === undefined ? source.lineOf(path) : override.line;
  return new UserError(message, {
    ...(file === NO_FILE ? {} : { file }),
    ...(line === undefined ? {} : { line }),
    ...(hint === undefined ? {} : { hint }),
  });
}

/** The last file that has something at a path, else the last of all. */
function holder(path: YamlPath, sources: YamlFile[]): YamlFile {
  return sources.findLast(({ value }) => has(value, path)) ?? sources.at(-1)!;
}

function has(value: unknown, [key, ...rest]: YamlPath): boolean {
  if (key === undefined) return true;
  return isSection(value) && Object.hasOwn(value, key) && has(value[String(key)], rest);
}

type Sections = Record<string, unknown>;

function isSection(value: unknown): value is Sections {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The flag that stands for a key: `training.max_steps` is `--max-steps`. */
function flagOf(key: string): string {
  return `--${key.slice(key.lastIndexOf(".") + 1).replaceAll("_", "-")}`;
}
