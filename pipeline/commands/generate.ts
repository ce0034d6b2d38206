/** The command `chatgot generate`: lets a trained model write. */

import { Command } from "commander";
import { displayPath, onInterrupt, UserError } from "../../common/mod.ts";
import { unknownCharacters } from "../generate_text.ts";
import { findModel, TextModel } from "../text_model.ts";
import { writeSamples } from "../write_samples.ts";
import { addJsonFlag, numberFlag } from "./flags.ts";

interface GenerateFlags {
  modelPath: string;
  prompt?: string;
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
      "text to go on from; - reads standard input; an empty one stands for a new line",
    )
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
    .option("--num-samples <count>", "how many texts", numberFlag("num-samples"))
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
  const given = flags.prompt === "-" ? await new Response(Deno.stdin.readable).text() : flags.prompt;
  const { loaded, config } = await findModel(flags.modelPath, {
    flags: {
      "generation.prompt": given === "" ? "\n" : given,
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
  const { prompt } = config.generation;
  const unknown = unknownCharacters(prompt, model.tokenizer);
  if (unknown.length > 0) {
    const shown = unknown.map((character) => JSON.stringify(character)).join(", ");
    console.error(`note: the model does not know ${shown}: each reads as its unknown token`);
  }
  const printer = flags.json ? undefined : new Printer(flags.stream !== false);
  const turn = interruptible();
  const written = await writeSamples(model, config.generation, {
    onBegin: (sample) => printer?.piece(sample > 0 ? BETWEEN_SAMPLES + prompt : prompt),
    onPiece: (piece) => {
      printer?.piece(piece);
      return turn();
    },
    onEnd: () => printer?.flush(),
  });
  printer?.end();
  if (written === undefined) Deno.exitCode = INTERRUPTED;
  else if (flags.json) {
    console.log(
      JSON.stringify({ model_path: displayPath(loaded.path), step: loaded.step ?? null, ...written }),
    );
  }
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
