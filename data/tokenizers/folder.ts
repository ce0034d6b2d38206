/**
 * The tokenizer of a model's folder: the one that ChatGoT keeps beside its own models, else `tokenizer.json`, else the
 * `vocab.json` and `merges.txt` of GPT-2's older form, which are read as the `tokenizer.json` that they stand for.
 *
 * Left out: other kinds than those of `tokenizer_json.ts`, such as `vocab.txt` and SentencePiece's models.
 */

import * as nodePath from "path";
import { z } from "zod";
import { displayPath, exists, readJson, readText, UserError, validate } from "../../common/mod.ts";
import { readTokenizer, tokenizerFromJSON } from "./load.ts";
import { END_OF_TEXT, type Tokenizer } from "./tokenizer.ts";
import { gpt2FormJson } from "./write_tokenizer_json.ts";

/** The file in which ChatGoT keeps a model's tokenizer. */
export const OWN_TOKENIZER_FILE = "chatgot_tokenizer.json";

/** Files of a Hugging Face folder that say how text becomes tokens. */
export const TOKENIZER_FILES = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
] as const;

/**
 * The tokenizer of a folder; undefined when it holds none.
 *
 * @throws UserError that names the file and the place in it when it is damaged or of a kind that cannot be read.
 */
export async function tokenizerInFolder(dir: string): Promise<Tokenizer | undefined> {
  for (const name of [OWN_TOKENIZER_FILE, "tokenizer.json"]) {
    const path = nodePath.join(dir, name);
    if (await exists(path)) return await readTokenizer(path);
  }
  const [vocab, merges] = [nodePath.join(dir, "vocab.json"), nodePath.join(dir, "merges.txt")];
  if (!await exists(vocab) || !await exists(merges)) return undefined;
  return await readVocabAndMerges(dir, vocab, merges);
}

const Vocab = z.record(z.string(), z.int().min(0));

async function readVocabAndMerges(dir: string, vocabPath: string, mergesPath: string): Promise<Tokenizer> {
  const vocab = validate(Vocab, await readJson(vocabPath), { file: displayPath(vocabPath) });
  const ids = new Map(Object.entries(vocab));
  const special = new Map<string, number>();
  for (const name of [END_OF_TEXT, ...await namesOfSpecialTokens(dir)]) {
    const id = ids.get(name);
    if (id !== undefined) special.set(name, id);
  }
  const addedPath = nodePath.join(dir, "added_tokens.json");
  if (await exists(addedPath)) {
    const added = validate(Vocab, await readJson(addedPath), { file: displayPath(addedPath) });
    for (const [name, id] of Object.entries(added)) special.set(name, id);
  }
  const merges = parseMerges(await readText(mergesPath), displayPath(mergesPath), ids);
  const json = gpt2FormJson(vocab, merges, [...special].map(([name, id]) => ({ name, id })));
  return tokenizerFromJSON({ kind: "file", tokenizer: json }, displayPath(vocabPath));
}

/** Merges by rank: a pair a line, after a line with the version. */
function parseMerges(text: string, file: string, ids: ReadonlyMap<string, number>): [string, string][] {
  const merges: [string, string][] = [];
  text.split(/\r?\n/).forEach((line, i) => {
    if (line === "" || i === 0 && line.startsWith("#version")) return;
    const fault = (message: string, hint: string) => new UserError(message, { file, line: i + 1, hint });
    const [left, right, ...more] = line.split(" ");
    if (left === undefined || right === undefined || more.length > 0) {
      throw fault(
        `expected two tokens with a space between, got ${JSON.stringify(line.slice(0, 60))}`,
        "restore the file",
      );
    }
    for (const token of [left, right, left + right]) {
      if (ids.has(token)) continue;
      throw fault(
        `the merge names ${JSON.stringify(token.slice(0, 60))}, which is not in vocab.json`,
        "vocabulary and merges are not of one tokenizer; restore the files",
      );
    }
    merges.push([left, right]);
  });
  return merges;
}

const Token = z.union([z.string(), z.looseObject({ content: z.string() })]);
const SpecialTokens = z.looseObject({
  bos_token: Token.nullish(),
  eos_token: Token.nullish(),
  unk_token: Token.nullish(),
  pad_token: Token.nullish(),
  additional_special_tokens: z.array(Token).nullish(),
});

async function namesOfSpecialTokens(dir: string): Promise<string[]> {
  const names: string[] = [];
  for (const name of ["special_tokens_map.json", "tokenizer_config.json"]) {
    const path = nodePath.join(dir, name);
    if (!await exists(path)) continue;
    const said = validate(SpecialTokens, await readJson(path), { file: displayPath(path) });
    const tokens = [said.bos_token, said.eos_token, said.unk_token, said.pad_token];
    for (const token of [...tokens, ...said.additional_special_tokens ?? []]) {
      if (token != null) names.push(typeof token === "string" ? token : token.content);
    }
  }
  return names;
}
