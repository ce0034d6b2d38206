/** The command `chatgot prepare`: prepares a dataset and shows what is in it. */

import { Command } from "commander";
import {
  displayPath,
  humanBytes,
  humanCount,
  parseSetting,
  parseYamlFile,
  Progress,
  type Setting,
  UserError,
  userPath,
  withSettings,
  type YamlFile,
} from "../common/mod.ts";
import { checkDataConfig, type DataConfig, dataSection } from "./config.ts";
import type { Dataset } from "./dataset.ts";
import { prepare } from "./prepare.ts";

interface PrepareFlags {
  configPath?: string;
  corpus?: string;
  set: Setting[];
  json?: boolean;
}

/** The command, to be hung on the tree of commands. It throws `UserError`; printing that is the caller's. */
export function prepareCommand(): Command {
  return new Command("prepare")
    .description("Cut a text into tokens and keep the result, ready to train on")
    .option("--config-path <yaml>", "config with a section `data`, such as configs/data/moby_dick_char.yaml")
    .option(
      "--corpus <name|path>",
      "moby-dick, sotu, a text file, a folder of .txt files, a name in data/raw/",
    )
    .option(
      "--set <key=value>",
      "a key of the config, such as data.split_ratio=0.95 (repeat for more)",
      (text: string, before: Setting[]) => [...before, parseSetting(text)],
      [],
    )
    .option("--json", "print one JSON object and nothing else on standard output")
    .action(async (flags: PrepareFlags) => {
      const config = await configOf(flags);
      const quiet = flags.json === true || !Deno.stderr.isTerminal(); // a log need not know: it is seconds
      const progress = { bar: undefined as Progress | undefined };
      const dataset = await prepare(config, {}, {
        onFile: (done, total) => {
          progress.bar ??= new Progress({ label: "read", total, unit: "file", quiet });
          progress.bar.update(done);
        },
      });
      progress.bar?.done();
      console.log(flags.json ? JSON.stringify(summary(dataset)) : describe(dataset));
    });
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
  return [
    `dataset     ${s.folder}`,
    `corpus      ${s.name}, ${s.files} ${s.files === 1 ? "file" : "files"}, ${humanBytes(s.bytes)}`,
    `tokenizer   ${s.tokenizer}, vocab_size ${s.vocab_size}`,
    `train       ${counted(s.train_tokens)}`,
    `validation  ${counted(s.val_tokens)}, the end of the text`,
    "",
    "begins with",
    ...s.sample.split("\n").map((line) => `  ${line}`.trimEnd()),
  ].join("\n");
}
