/**
 * Reading `tokenizer.json`, the form of Hugging Face's tokenizers library, where it holds a byte-level BPE: GPT-2, GPT-4,
 * RoBERTa, Llama 3, Qwen and their like. Supported: normalizers NFC, NFD, NFKC, NFKD; pre-tokenizers ByteLevel, Split,
 * Digits and sequences of them; added tokens by name. What would change ids and is not supported is an error that names
 * it. Left out, since they do not touch ids of a text alone: post-processor, truncation, padding.
 */

import { z } from "zod";
import { UserError, validate } from "../../common/mod.ts";
import { type BpeTables, ByteLevelBpe } from "./byte_level_bpe.ts";
import { binaryString, charactersToBytes } from "./bytes.ts";
import { GPT2_PATTERN, type SplitStep, Splitter } from "./split.ts";
import type { TokenizerJSON } from "./tokenizer.ts";

const step = z.looseObject({ type: z.string() });

/** Ids above this would make tables larger than any vocabulary is. */
const MAX_ID = 2 ** 22;

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const TokenizerFile = z.looseObject({
  added_tokens: z.array(z.looseObject({
    id: z.int().min(0).max(MAX_ID),
    content: z.string().min(1),
    special: z.boolean().default(false),
  })).nullish(),
  normalizer: step.nullish(),
  pre_tokenizer: step.nullish(),
  model: z.looseObject({
    type: z.string().optional(),
    // Large, so they are not copied by the schema; `bpeTables` looks at each entry.
    vocab: z.custom<Record<string, unknown>>(isObject, "expected a section of tokens and their ids"),
    merges: z.custom<unknown[]>(Array.isArray, "expected a list of merges"),
    unk_token: z.string().nullish(),
    dropout: z.number().nullish(),
    continuing_subword_prefix: z.string().nullish(),
    end_of_word_suffix: z.string().nullish(),
    ignore_merges: z.boolean().nullish(),
  }),
});

type TokenizerFile = z.output<typeof TokenizerFile>;

/**
 * The tokenizer of a parsed `tokenizer.json`.
 *
 * @param file the name that errors give
 * @param toJSON what the tokenizer says of itself. @default `{ kind: "file", tokenizer: json }`
 * @throws UserError that names the place in the file, when it is damaged or no byte-level BPE
 */
export function readTokenizerJson(
  json: unknown,
  file?: string,
  toJSON: () => TokenizerJSON = () => ({ kind: "file", tokenizer: json }),
): ByteLevelBpe {
  const place = file === undefined ? {} : { file };
  const fault = (message: string, hint: string) => new UserError(message, { ...place, hint });
  const { type } = (json as { model?: { type?: unknown } } | null)?.model ?? {};
  if (type !== undefined && type !== "BPE") {
    throw fault(
      `model.type: expected "BPE", got ${JSON.stringify(type)}`,
      "only byte-level BPE tokenizers can be read",
    );
  }
  const saved = validate(TokenizerFile, json, place);
  const { model } = saved;
  for (const key of ["dropout", "continuing_subword_prefix", "end_of_word_suffix"] as const) {
    if (model[key]) {
      throw fault(`model.${key} is not supported`, "only byte-level BPE tokenizers can be read");
    }
  }
  const added = (saved.added_tokens ?? []).map(({ content, id, special }) => ({
    name: content,
    id,
    special,
  }));
  const tables = bpeTables(model, new Set(added.map(({ name }) => name)), fault);
  const unknownId = model.unk_token == null
    ? undefined
    : Object.getOwnPropertyDescriptor(model.vocab, model.unk_token)?.value;
  return new ByteLevelBpe({
    kind: toJSON().kind,
    ...tables,
    ...preTokenizer(saved, fault),
    added,
    ignore_merges: model.ignore_merges ?? false,
    ...(typeof unknownId === "number" ? { unknownId } : {}),
    ...(saved.normalizer == null ? {} : { normalize: normalizer(saved.normalizer, fault) }),
    toJSON,
  });
}

type Fault = (message: string, hint: string) => UserError;

/** Tokens and ranks. A merge's rank is its place in the list; a pair that is listed twice keeps the later one. */
function bpeTables(
  model: TokenizerFile["model"],
  addedNames: ReadonlySet<string>,
  fault: Fault,
): Pick<BpeTables, "tokens" | "ranks" | "results"> {
  const entries = Object.entries(model.vocab).map(([name, id]): [string, number] => {
    if (Number.isInteger(id) && (id as number) >= 0 && (id as number) <= MAX_ID) return [name, id as number];
    throw fault(
      `model.vocab.${name}: expected a whole number from 0 to ${MAX_ID}, got ${show(id)}`,
      "restore the file",
    );
  });
  if (entries.length === 0) throw fault("model.vocab is empty", "the file may be cut off; restore it");
  const size = entries.reduce((most, [, id]) => Math.max(most, id + 1), 0);
  const tokens: (string | undefined)[] = new Array(size).fill(undefined);
  const taken: (string | undefined)[] = new Array(size).fill(undefined);
  for (const [name, id] of entries) {
    if (taken[id] !== undefined) {
      throw fault(
        `model.vocab: ${show(taken[id])} and ${show(name)} have the same id ${id}`,
        "restore the file; ids must differ",
      );
    }
    taken[id] = name;
    const bytes = charactersToBytes(name);
    if (bytes === undefined) {
      if (addedNames.has(name) || name === model.unk_token) continue;
      throw fault(
        `model.vocab: the token ${show(name)} is not bytes in printable form`,
        "only byte-level BPE tokenizers can be read, such as GPT-2's",
      );
    }
    tokens[id] = binaryString(bytes);
  }
  const ids = new Map(entries); // not model.vocab itself, which has the keys of every object
  const ranks = new Map<number, number>();
  const results = new Int32Array(model.merges.length);
  model.merges.forEach((merge, rank) => {
    const pair: unknown[] = typeof merge === "string" ? merge.split(" ") : Array.isArray(merge) ? merge : [];
    const [left, right] = pair;
    if (typeof left !== "string" || typeof right !== "string" || pair.length !== 2) {
      throw fault(
        `model.merges[${rank}]: expected two tokens with a space between, got ${show(merge)}`,
        "restore the file",
      );
    }
    for (const token of [left, right, left + right]) {
      const id = ids.get(token);
      if (id !== undefined && tokens[id] !== undefined) continue;
      throw fault(
        `model.merges[${rank}] (${show(merge)}) names ${show(token)}, which is not in model.vocab`,
        "vocabulary and merges are not of one tokenizer; restore the file",
      );
    }
    ranks.set(ids.get(left)! * size + ids.get(right)!, rank);
    results[rank] = ids.get(left + right)!;
  });
  return { tokens, ranks, results };
}

/** How text is cut, and whether a space goes before it. */
function preTokenizer(
  { pre_tokenizer }: TokenizerFile,
  fault: Fault,
): { splitter: Splitter; add_prefix_space: boolean } {
  const steps: SplitStep[] = [];
  let add_prefix_space = false;
  let isByteLevel = false;
  const read = (json: unknown, path: string): void => {
    const one = json as Record<string, unknown> | null;
    switch (one?.type) {
      case "Sequence": {
        const inner = one.pretokenizers;
        if (!Array.isArray(inner)) throw fault(`${path}.pretokenizers: expected a list`, "restore the file");
        return inner.forEach((each, i) => read(each, `${path}.pretokenizers[${i}]`));
      }
      case "ByteLevel":
        isByteLevel = true;
        if (one.add_prefix_space === true && steps.length === 0) add_prefix_space = true;
        if (one.use_regex !== false) steps.push({ pattern: GPT2_PATTERN });
        return;
      case "Digits":
        steps.push({ pattern: one.individual_digits === true ? "\\p{N}" : "\\p{N}+" });
        return;
      case "Split":
        steps.push(splitStep(one, path, fault));
        return;
      default:
        throw fault(
          `${path}.type: ${show(one?.type)} is not supported`,
          "known: ByteLevel, Split, Digits, Sequence",
        );
    }
  };
  if (pre_tokenizer != null) read(pre_tokenizer, "pre_tokenizer");
  if (!isByteLevel) {
    throw fault(
      "pre_tokenizer has no ByteLevel",
      "only byte-level BPE tokenizers can be read, such as GPT-2's",
    );
  }
  try {
    return { splitter: new Splitter(steps), add_prefix_space };
  } catch (error) {
    throw fault(
      `pre_tokenizer: its pattern cannot be used here: ${error instanceof Error ? error.message : error}`,
      "use a tokenizer with a simpler pattern",
    );
  }
}

function splitStep(split: Record<string, unknown>, path: string, fault: Fault): SplitStep {
  const { Regex, String: literal } = (split.pattern ?? {}) as Record<string, unknown>;
  const pattern = typeof Regex === "string"
    ? Regex
    : typeof literal === "string" && literal !== ""
    ? literal.replace(/[\\^$.*+?()[\]{}|\/]/g, "\\$&")
    : undefined;
  if (pattern === undefined) throw fault(`${path}.pattern: expected Regex or String`, "restore the file");
  const keepsAll = split.behavior === "Isolated";
  if (!keepsAll && split.behavior !== "Removed") {
    throw fault(`${path}.behavior: ${show(split.behavior)} is not supported`, "known: Isolated, Removed");
  }
  const invert = split.invert === true; // what does not match is then what would be removed
  return { pattern, matches: keepsAll || invert, gaps: keepsAll || !invert };
}

const FORMS = ["NFC", "NFD", "NFKC", "NFKD"];

function normalizer(json: Record<string, unknown>, fault: Fault): (text: string) => string {
  const { type } = json;
  if (typeof type === "string" && FORMS.includes(type)) return (text) => text.normalize(type);
  if (type === "Sequence" && Array.isArray(json.normalizers)) {
    const all = json.normalizers.map((each) => normalizer(each ?? {}, fault));
    return (text) => all.reduce((done, each) => each(done), text);
  }
  throw fault(`normalizer.type: ${show(type)} is not supported`, `known: ${FORMS.join(", ")}, Sequence`);
}

function show(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 60) ?? "nothing";
}
