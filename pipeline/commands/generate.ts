/** The command `chatgot generate`: lets a trained model write. */

import { Command } from "commander";
import { displayPath, fileError, onInterrupt, UserError, userPath } from "../../common/mod.ts";
import { promptText, unknownCharacters } from "../generate_text.ts";
import { findModel, TextModel } from "../text_model.ts";
import { writeSamples } from "../write_samples.ts";
import { addJsonFlag, numberFlag } from "./flags.ts";

interface GenerateFlags {
  modelPath: string;
  prompt?: string[];
  promptFile?: string;
  maxNewTokens?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  seed?: number;
  numSamples?: number;
  precision?: string;
  stop?: string[];
  stream?: boolean;
  json?: boolean;
}

/** What stands between two samples. */
const BETWEEN_SAMPLES = "\n---\n";

/** Milliseconds after which the event loop gets a turn, so that Ctrl-C is heard while tokens come. */
const TURN_INTERVAL = 50;

/** The exit status of a program that Ctrl-C ended: 128 + SIGINT. */
const INTERRUPTED = 130;

/** The command. Its exit status is 130 after Ctrl-C. */
export function generateCommand(): Command {
  const command = new Command("generate")
    .description(
      "Let a trained model write; what is left out is as the section `generation` of the run's config says",
    )
    .requiredOption(
      "--model-path <folder>",
      "folder of a run (its newest checkpoint is taken), a checkpoint or a model",
    )
    .option(
      "--prompt <text>",
      "text to go on from; - reads standard input; an empty one stands for a new line (repeat for more, which are " +
        "written side by side)",
      (text: string, before: string[] = []) => [...before, text],
    )
    .option("--prompt-file <file>", "a text file with a prompt a line; \\n stands for a new line")
    .option("--max-new-tokens <count>", "tokens to generate", numberFlag("max-new-tokens"))
    .option(
      "--temperature <number>",
      "below 1 bolder, above 1 wilder; 0: always the likeliest",
      numberFlag("temperature"),
    )
    .option("--top-k <count>", "only the k likeliest tokens are eligible; 0: all", numberFlag("top-k"))
    .option(
      "--top-p <number>",
      "only the likeliest tokens that reach this probability; 1: all",
      numberFlag("top-p"),
    )
    .option("--seed <number>", "the same seed writes the same text", numberFlag("seed"))
    .option("--precision <kind>", "how weights stand while decoding: f32, or f16 for fewer bytes to read")
    .option("--num-samples <count>", "how many texts of each prompt", numberFlag("num-samples"))
    .option(
      "--stop <text>",
      "a text at which generation ends (repeat for more); \\n stands for a new line",
      (text: string, before: string[] = []) => [...before, text.replaceAll("\\n", "\n")],
    )
    .option("--stream", "print tokens as they come (the default)")
    .option("--no-stream", "print each text when it is whole")
    .addHelpText(
      "after",
      "\nThe prompt is printed before what the model makes of it. Characters that the model has never seen read as its\n" +
        "unknown token; a note on standard error names them.",
    );
  return addJsonFlag(command).action(generate);
}

async function generate(flags: GenerateFlags): Promise<void> {
  const prompts = await promptsOf(flags);
  const { loaded, config } = await findModel(flags.modelPath, {
    flags: {
      "generation.prompt": prompts?.[0],
      "generation.max_new_tokens": flags.maxNewTokens,
      "generation.temperature": flags.temperature,
      "generation.top_k": flags.topK,
      "generation.top_p": flags.topP,
      "generation.seed": flags.seed,
      "generation.num_samples": flags.numSamples,
      "generation.precision": flags.precision,
      "generation.stop": flags.stop,
    },
  });
  loaded.warnings.forEach((warning) => console.error(`warning: ${warning}`));
  using model = await TextModel.open(loaded, config.generation);
  const unknown = unknownCharacters((prompts ?? [config.generation.prompt]).join(""), model.tokenizer);
  if (unknown.length > 0) {
    const shown = unknown.map((character) => JSON.stringify(character)).join(", ");
    console.error(`note: the model does not know ${shown}: each reads as its unknown token`);
  }
  const printer = flags.json ? undefined : new Printer(flags.stream !== false);
  const turn = interruptible();
  const written = await writeSamples(model, config.generation, {
    onBegin: (i, prompt) => printer?.piece(i > 0 ? BETWEEN_SAMPLES + prompt : prompt),
    onPiece: (piece) => {
      printer?.piece(piece);
      return turn();
    },
    onEnd: () => printer?.flush(),
  }, prompts);
  printer?.end();
  if (written === undefined) Deno.exitCode = INTERRUPTED;
  else if (flags.json) {
    console.log(
      JSON.stringify({ model_path: displayPath(loaded.path), step: loaded.step ?? null, ...written }),
    );
  }
}

/** The prompts of the flags, those of the file last; undefined where there are none. */
async function promptsOf({ prompt = [], promptFile }: GenerateFlags): Promise<string[] | undefined> {
  if (prompt.filter((text) => text === "-").length > 1) {
    throw new UserError("--prompt: standard input can be read only once", { hint: "give - once" });
  }
  const given: string[] = [];
  for (const text of prompt) {
    given.push(promptText(text === "-" ? await new Response(Deno.stdin.readable).text() : text));
  }
  if (promptFile !== undefined) given.push(...await readPrompts(promptFile));
  return given.length === 0 ? undefined : given;
}

async function readPrompts(path: string): Promise<string[]> {
  const text = await Deno.readTextFile(userPath(path)).catch((error) => {
    throw fileError(error, userPath(path));
  });
  const lines = text.split(/\r?\n/).filter((line) => line !== "").map((line) => line.replaceAll("\\n", "\n"));
  if (lines.length > 0) return lines;
  throw new UserError("holds no prompt", {
    file: displayPath(userPath(path)),
    hint: "write one on each line",
  });
}

/** Writes pieces to standard output at once, or whole texts. */
class Printer {
  readonly #streams: boolean;
  #held = "";
  #endsLine = true;

  constructor(streams: boolean) {
    this.#streams = streams;
  }

  piece(text: string): void {
    this.#held += text;
    if (this.#streams) this.flush();
  }

  flush(): void {
    const bytes = new TextEncoder().encode(this.#held);
    if (bytes.length === 0) return;
    this.#endsLine = this.#held.endsWith("\n");
    this.#held = "";
    try {
      for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
    } catch (error) {
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
      throw new UserError("standard output was closed", { hint: "the program that read it has ended" });
    }
  }

  /** Ends the last line. */
  end(): void {
    this.flush();
    if (!this.#endsLine) this.piece("\n");
    this.flush();
  }
}

/**
 * Listens for Ctrl-C from the first call on; before that, while kernels are compiled, the system's own handling ends the
 * program with the same status. The returned function gives the event loop a turn now and then and tells whether Ctrl-C
 * came.
 */
function interruptible(): () => Promise<boolean> {
  let interrupted = false;
  let listening = false;
  let last = performance.now();
  return async () => {
    if (!listening) {
      listening = true;
      onInterrupt(() => interrupted = true, () => Deno.exit(INTERRUPTED));
    }
    if (performance.now() - last >= TURN_INTERVAL) {
      await new Promise((resolve) => setTimeout(resolve));
      last = performance.now();
    }
    return interrupted;
  };
}
