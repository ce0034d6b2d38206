/** The command `chatgot prepare`: prepares a dataset and shows what is in it. */

import * as nodePath from "path";
import { Command } from "commander";
import {
  displayPath,
  humanBytes,
  humanCount,
  parseSetting,
  parseYamlFile,
  Progress,
  readJson,
  type Setting,
  UserError,
  userPath,
  withSettings,
  type YamlFile,
} from "../common/mod.ts";
import { checkDataConfig, type DataConfig, dataSection } from "./config.ts";
import type { Dataset } from "./dataset.ts";
import { prepare } from "./prepare/prepare.ts";
import { DatasetStats } from "./prepare/stats.ts";
import type { Progressed } from "./prepare/text_stream.ts";
import { describeStats } from "./prepare/stats_text.ts";
import { DATASET_FILES } from "./processed.ts";

interface PrepareFlags {
  configPath?: string;
  corpus?: string;
  set: Setting[];
  stats?: boolean;
  json?: boolean;
}

/** The command, to be hung on the tree of commands. It throws `UserError`; printing that is the caller's. */
export function prepareCommand(): Command {
  return new Command("prepare")
    .description("Cut a text into tokens and keep the result, ready to train on")
    .option("--config-path <yaml>", "config with a section `data`, such as configs/data/moby_dick_char.yaml")
    .option(
      "--corpus <name|path>",
      "moby-dick, sotu, a file (.txt, .jsonl, .parquet, .gz), a folder, a glob, a name in data/raw/",
    )
    .option(
      "--set <key=value>",
      "a key of the config, such as data.split_ratio=0.95 (repeat for more)",
      (text: string, before: Setting[]) => [...before, parseSetting(text)],
      [],
    )
    .option("--stats", "show counts, vocabulary coverage, compression, lengths and samples")
    .option("--json", "print one JSON object and nothing else on standard output")
    .action(async (flags: PrepareFlags) => {
      const dataset = await prepareWithProgress(await configOf(flags), flags.json === true);
      const stats = flags.stats ? await readStats(dataset) : undefined;
      if (flags.json) console.log(JSON.stringify({ ...summary(dataset), ...(stats && { stats }) }));
      else console.log(describe(dataset) + (stats === undefined ? "" : "\n\n" + describeStats(stats)));
    });
}

/** Prepares under a progress line; Ctrl-C leaves nothing half-made behind. */
async function prepareWithProgress(config: DataConfig, isJson: boolean): Promise<Dataset> {
  const quiet = isJson || !Deno.stderr.isTerminal();
  const stop = new AbortController();
  const onSignal = () =>
    stop.abort(new UserError("stopped; nothing was kept", { hint: "start again to redo it" }));
  const bars = new Map<Progressed["stage"], Progress>();
  Deno.addSignalListener("SIGINT", onSignal);
  try {
    return await prepare(config, {}, {
      signal: stop.signal,
      onProgress: ({ stage, done, total }) => {
        if (!bars.has(stage)) [...bars.values()].at(-1)?.done();
        const bar = bars.get(stage) ?? new Progress({ label: stage, total, unit: "B", quiet });
        bars.set(stage, bar);
        bar.update(Math.min(done, total));
      },
    });
  } finally {
    [...bars.values()].at(-1)?.done();
    Deno.removeSignalListener("SIGINT", onSignal);
  }
}

async function readStats(dataset: Dataset): Promise<DatasetStats> {
  return DatasetStats.parse(await readJson(nodePath.join(dataset.folder, DATASET_FILES.stats)));
}

/** The section `data` that the flags ask for: defaults < file < `--set` < `--corpus`. */
async function configOf(flags: PrepareFlags): Promise<DataConfig> {
  const foreign = flags.set.find(({ path }) => path[0] !== "data" || path.length < 2);
  if (foreign !== undefined) {
    throw new UserError(`--set ${foreign.path.join(".")}: prepare knows only keys of the section data`, {
      hint: "for example: --set data.split_ratio=0.95",
    });
  }
  const none: YamlFile = { file: "--set", value: {}, lineOf: () => undefined };
  const section = flags.configPath === undefined
    ? none
    : await dataSection(await parseYamlFile(userPath(flags.configPath)));
  const settings = [...flags.set];
  if (flags.corpus !== undefined) settings.push({ path: ["data", "corpus"], value: flags.corpus });
  const whole = withSettings({ ...section, value: { data: section.value } }, settings);
  return checkDataConfig((whole.value as { data: unknown }).data, whole);
}

const SAMPLE_TOKENS = 200;

/** What `--json` prints. */
function summary(dataset: Dataset) {
  const { header, tokenizer } = dataset;
  return {
    folder: displayPath(dataset.folder),
    name: header.name,
    tokenizer: tokenizer.kind,
    vocab_size: tokenizer.vocab_size,
    files: header.counts.files,
    documents: header.counts.documents,
    bytes: header.counts.bytes,
    tokens: header.counts.tokens,
    train_tokens: dataset.train.length,
    val_tokens: dataset.val.length,
    source_digest: header.source_digest,
    sample: tokenizer.decode(dataset.train.subarray(0, SAMPLE_TOKENS)),
  };
}

function describe(dataset: Dataset): string {
  const s = summary(dataset);
  const counted = (tokens: number) => `${humanCount(tokens)} tokens (${tokens})`;
  const documents = s.documents === s.files ? "" : `, ${s.documents} documents`;
  return [
    `dataset     ${s.folder}`,
    `corpus      ${s.name}, ${s.files} ${s.files === 1 ? "file" : "files"}, ${
      humanBytes(s.bytes)
    }${documents}`,
    `tokenizer   ${s.tokenizer}, vocab_size ${s.vocab_size}`,
    `train       ${counted(s.train_tokens)}`,
    `validation  ${counted(s.val_tokens)}, the end of the text`,
    "",
    "begins with",
    ...s.sample.split("\n").map((line) => `  ${line}`.trimEnd()),
  ].join("\n");
}
