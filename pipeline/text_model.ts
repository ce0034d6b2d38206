/**
 * A model that can write: weights on the device, tokenizer, and the settings it was configured with. Opened from a run's
 * folder, a checkpoint, or a model that is in memory already.
 */

import { dirname, join } from "path";
import { displayPath, exists, type Setting, UserError, userPath } from "../common/mod.ts";
import { type Tokenizer, tokenizerFromJSON } from "../data/mod.ts";
import { ensureAdapter, type Gpu, openGpu, type ParameterStore } from "../gpu/mod.ts";
import { Generator, type LoadedModel, loadWeights, openModel } from "../models/mod.ts";
import { type Attention, attentionOver } from "./attention.ts";
import { generateText, promptText, type TextOptions } from "./generate_text.ts";
import { sideBySide } from "./side_by_side.ts";
import { tokenizerOfModel } from "./initial_model.ts";
import { resolveRunConfig, type RunConfig } from "./run_config.ts";

/** A model as it was found in a folder. */
export interface FoundModel {
  loaded: LoadedModel;
  /** Undefined for a Hugging Face model without one that can be read. */
  tokenizer: Tokenizer | undefined;
  /** The run's configuration; the defaults where the model belongs to no run. */
  config: RunConfig;
  /** Whether the model belongs to a run. */
  isOfRun: boolean;
}

/**
 * Finds and loads a model with its run's configuration.
 *
 * @param path a run's folder, a checkpoint's, or a Hugging Face model's; relative ones start where the user stands
 * @param overrides what `--set` and flags lay over the run's configuration
 * @throws UserError when there is none, or it is broken.
 */
export async function findModel(
  path: string,
  overrides: { set?: readonly Setting[]; flags?: Record<string, unknown> } = {},
): Promise<FoundModel> {
  const folder = userPath(path);
  const { model, warnings } = await openModel(folder);
  using open = model;
  const tokenizer = await tokenizerOfModel(open);
  const loaded: LoadedModel = {
    path: open.path,
    config: open.config,
    weights: open.weights(),
    tokenizer: tokenizer?.toJSON(),
    step: open.step,
    warnings,
  };
  const run = [folder, dirname(dirname(loaded.path))].map((dir) => join(dir, "config.yaml"));
  const own = await exists(run[0]!) ? run[0] : await exists(run[1]!) ? run[1] : undefined;
  const config = await resolveRunConfig({ configPath: own, settled: true, ...overrides });
  return { loaded, tokenizer, config, isOfRun: own !== undefined };
}

function tokenizerOf({ tokenizer, path }: LoadedModel): Tokenizer | undefined {
  return tokenizer === undefined || tokenizer === null
    ? undefined
    : tokenizerFromJSON(tokenizer, displayPath(path));
}

/** How a model is held that writes. */
export interface TextModelOptions {
  /** How weights stand while decoding, see `generation.precision`. @default "f32" */
  precision?: "f32" | "f16" | undefined;
}

/** A model on the device, ready to write. `close` or `using` frees it. */
export class TextModel implements Disposable {
  /** What turns its text into tokens and back. */
  readonly tokenizer: Tokenizer;
  readonly #gpu: Gpu;
  readonly #store: ParameterStore;
  readonly #generator: Generator;

  /**
   * Puts a model on a device and compiles; the device is closed with it.
   *
   * @throws UserError when the model has no tokenizer, or cannot decode with this precision here.
   */
  constructor(gpu: Gpu, loaded: LoadedModel, { precision }: TextModelOptions = {}) {
    const tokenizer = tokenizerOf(loaded);
    if (tokenizer === undefined) {
      throw new UserError("has no tokenizer, so text cannot be turned into tokens", {
        file: displayPath(loaded.path),
        hint: "give the folder of a run, or of a model with its tokenizer.json",
      });
    }
    this.tokenizer = tokenizer;
    this.#gpu = gpu;
    this.#store = loadWeights(gpu, loaded.config, loaded.weights);
    this.#generator = new Generator(gpu, loaded.config, this.#store, {
      packed: true,
      ...(precision === undefined ? {} : { precision }),
    });
  }

  /** Opens a device and puts a model on it. */
  static async open(loaded: LoadedModel, options: TextModelOptions = {}): Promise<TextModel> {
    await ensureAdapter();
    return new TextModel(await openGpu(), loaded, options);
  }

  /** Writes a text, piece by piece; see `generateText`. One text at a time. */
  generate(options: TextOptions = {}): AsyncGenerator<string> {
    return generateText(this.#generator, this.tokenizer, options);
  }

  /**
   * Several texts, written side by side as the first of them that is read goes on: each is what `generate` makes of its prompt
   * and number, but the weights are read once for all. Prompts are best of about the same length.
   *
   * @param texts prompt: as in `TextOptions`; sample: its number among those of the same prompt
   */
  generateTogether(
    texts: readonly Pick<TextOptions, "prompt" | "sample">[],
  ): ((options: Omit<TextOptions, "prompt" | "sample">) => AsyncGenerator<string>)[] {
    const tokens = texts.map(({ prompt, sample = 0 }) => ({
      prompt: this.tokenizer.encode(promptText(prompt)),
      sample,
    }));
    return sideBySide(this.#generator, tokens).map((source, i) => (options) =>
      generateText(source, this.tokenizer, { ...options, ...texts[i]! })
    );
  }

  /**
   * What each token of a text attends to, in one layer.
   *
   * @param options layer: counted from 0, the first when left out
   * @throws UserError when the text is empty or longer than the context, or there is no such layer
   */
  async attention(text: string, { layer = 0 }: { layer?: number } = {}): Promise<Attention> {
    const { config } = this.#generator;
    const model = { gpu: this.#gpu, config, store: this.#store, tokenizer: this.tokenizer };
    return await attentionOver(model, text, layer);
  }

  /** Frees the model and its device. */
  close(): void {
    this.#generator.destroy();
    this.#store.destroy();
    this.#gpu.close();
  }

  /** The same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Lets a model write: pieces of text as they come, the prompt not among them.
 *
 * @param model an open model, one in memory (such as `train` returns), or the path of a run or checkpoint. All but
 *   the first are put on a device for this one text.
 * @param options keys of the section `generation`; those left out have its defaults, for a path the run's own
 * @throws UserError when the model is missing, broken or without a tokenizer, or there is no adapter.
 *
 * @example
 * ```ts ignore
 * import { generate } from "./text_model.ts";
 * for await (const text of generate("runs/chatgot_tiny_char_20260101_120000", { prompt: "Call me ", top_k: 40 })) {
 *   console.log(text);
 * }
 * ```
 */
export async function* generate(
  model: TextModel | LoadedModel | string,
  options: TextOptions = {},
): AsyncGenerator<string> {
  if (model instanceof TextModel) {
    yield* model.generate(options);
    return;
  }
  const found = typeof model === "string" ? await findModel(model) : undefined;
  const settings = { ...found?.config.generation, ...options };
  using open = await TextModel.open(found?.loaded ?? model as LoadedModel, settings);
  yield* open.generate(settings);
}
