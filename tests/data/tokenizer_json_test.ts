/** Files of Hugging Face's form: what they can say, against its own library, and every way in which they can be broken. */

import assert from "assert";
import fc from "fast-check";
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { huggingFaceTokenizerFiles, tokenizerFromJSON, trainBpe } from "../../data/mod.ts";
import { UserError } from "../../common/mod.ts";
import { HARD_TEXTS } from "./texts.ts";

const WORDS = new Map([["low", 9], [" low", 8], ["lower", 7], [" newest", 6], ["est", 5], [" 12", 4], [
  "123",
  4,
]]);

// deno-lint-ignore no-explicit-any -- files are broken in any way here
type Json = any;

/** A small tokenizer's file, changed. */
function file(change: (json: Json) => void = () => {}): Json {
  const json = JSON.parse(JSON.stringify(trainBpe(WORDS, { vocab_size: 275 })));
  change(json);
  return json;
}

const TEXTS = HARD_TEXTS.filter((text) => !text.includes("<|endoftext|>"));

Deno.test("forms of tokenizer.json: ids are those of Hugging Face's library", () => {
  const split = (Regex: string, behavior = "Isolated", invert = false) => ({
    type: "Split",
    pattern: { Regex },
    behavior,
    invert,
  });
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  const sequence = (...steps: Json[]) => ({ type: "Sequence", pretokenizers: [...steps, byteLevel] });
  const forms: [string, (json: Json) => void][] = [
    ["as it is made", () => {}],
    ["merges as text", (json) => json.model.merges = json.model.merges.map((m: string[]) => m.join(" "))],
    ["ignore_merges", (json) => {
      json.model.ignore_merges = true;
      json.model.vocab["lowest"] = 275; // no merges lead there
    }],
    ["possessive quantifiers", (json) =>
      json.pre_tokenizer = sequence(
        split(
          "[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s+(?!\\S)|\\s",
        ),
      )],
    ["two cuts", (json) => json.pre_tokenizer = sequence(split("\\d"), split(" ?\\p{L}+"))],
    ["matches alone", (json) => json.pre_tokenizer = sequence(split("\\s*\\S+|\\s+", "Removed", true))],
    ["digits", (json) => json.pre_tokenizer = sequence({ type: "Digits", individual_digits: true })],
    ["not cut at all", (json) => json.pre_tokenizer = byteLevel],
    ["NFC", (json) => json.normalizer = { type: "NFC" }],
    ["NFKD in a sequence", (json) => json.normalizer = { type: "Sequence", normalizers: [{ type: "NFKD" }] }],
    ["prefix space", (json) => json.pre_tokenizer = { ...byteLevel, add_prefix_space: true }],
    [
      "an added token that is text",
      (json) => json.added_tokens.push({ id: 275, content: "new", special: false, normalized: false }),
    ],
  ];
  for (const [name, change] of forms) {
    const json = file(change);
    const own = tokenizerFromJSON(json);
    const other = new HuggingFaceTokenizer(JSON.parse(JSON.stringify(json)), {});
    for (const text of [...TEXTS, "low lower lowest newest 12345 new newer"]) {
      assert.deepEqual([...own.encode(text)], other.encode(text).ids, `${name}: ${JSON.stringify(text)}`);
    }
    assert.deepEqual(tokenizerFromJSON(JSON.parse(JSON.stringify(own))).toJSON(), own.toJSON());
  }
});

Deno.test("an id that a model's vocabulary skips is unknown, and vocab_size reaches the last id", () => {
  const own = tokenizerFromJSON(
    file((json) => json.added_tokens.push({ id: 300, content: "<pad>", special: true })),
  );
  assert.equal(own.vocab_size, 301);
  assert.equal(own.decode([290]), "\ufffd");
  assert.deepEqual([...own.encode("<pad>", { allowed_special: ["<pad>"] })], [300]);
});

Deno.test("a broken tokenizer.json is one clear line that names the place", () => {
  const cases: [string, Json, RegExp][] = [
    [
      "merge of unknown left",
      file((j) => j.model.merges[3] = ["zz", "l"]),
      /model\.merges\[3\].*names "zz".*not in model\.vocab/,
    ],
    [
      "merge of unknown result",
      file((j) => j.model.merges[0] = ["w", "x"]),
      /model\.merges\[0\].*names "wx"/,
    ],
    ["merge of three", file((j) => j.model.merges[1] = "a b c"), /model\.merges\[1\]: expected two tokens/],
    ["merge of one", file((j) => j.model.merges[1] = "ab"), /model\.merges\[1\]: expected two tokens/],
    [
      "merge of a special token",
      file((j) => j.model.merges[0] = ["<|endoftext|>", "a"]),
      /model\.merges\[0\]/,
    ],
    [
      "merge of an object's key",
      file((j) => j.model.merges[0] = ["constructor", "a"]),
      /names "constructor"/,
    ],
    ["two of one id", file((j) => j.model.vocab["!"] = 5), /"!" and "&" have the same id 5|same id 5/],
    ["an id below zero", file((j) => j.model.vocab["!"] = -1), /model\.vocab\.!: expected/],
    ["an id without end", file((j) => j.model.vocab["!"] = 1e12), /model\.vocab\.!: expected/],
    ["not byte level", file((j) => j.model.vocab["▁the"] = 280), /"▁the" is not bytes in printable form/],
    ["no ByteLevel", file((j) => j.pre_tokenizer = null), /pre_tokenizer has no ByteLevel/],
    ["another model", file((j) => j.model.type = "Unigram"), /model\.type: expected "BPE", got "Unigram"/],
    ["no vocabulary", file((j) => delete j.model.vocab), /model\.vocab: expected a section of tokens/],
    ["an empty vocabulary", file((j) => j.model.vocab = {}), /model\.vocab is empty/],
    [
      "another pre-tokenizer",
      file((j) => j.pre_tokenizer = { type: "Metaspace" }),
      /pre_tokenizer\.type: "Metaspace" is not supported/,
    ],
    [
      "a broken pattern",
      file((j) => j.pre_tokenizer.pretokenizers[0].pattern.Regex = "(("),
      /pattern cannot be used/,
    ],
    [
      "another behaviour",
      file((j) => j.pre_tokenizer.pretokenizers[0].behavior = "MergedWithNext"),
      /behavior/,
    ],
    [
      "another normalizer",
      file((j) => j.normalizer = { type: "Lowercase" }),
      /normalizer\.type: "Lowercase"/,
    ],
    ["dropout", file((j) => j.model.dropout = 0.1), /model\.dropout is not supported/],
    ["word ends", file((j) => j.model.end_of_word_suffix = "</w>"), /end_of_word_suffix is not supported/],
    ["a saved one without its file", { kind: "bpe" }, /tokenizer is missing/],
    ["another kind", { kind: "wordpiece" }, /"wordpiece" is not known.*char, gpt2, bpe, file/],
  ];
  for (const [name, json, message] of cases) {
    assert.throws(
      () => tokenizerFromJSON(json, "tokenizer.json"),
      (e) => e instanceof UserError && e.file === "tokenizer.json" && message.test(e.describe()),
      name,
    );
  }
});

Deno.test("whatever is put into a tokenizer.json, it is read or is a UserError", () => {
  const paths: string[][] = [];
  const walk = (value: Json, path: string[]) => {
    paths.push(path);
    if (typeof value !== "object" || value === null) return;
    for (const key of Object.keys(value).slice(0, 8)) walk(value[key], [...path, key]);
  };
  walk(file(), []);
  const put = (json: Json, path: string[], value: unknown) => {
    if (path.length === 0) return value;
    const last = path.slice(0, -1).reduce((at, key) => at?.[key], json);
    if (typeof last === "object" && last !== null) last[path.at(-1)!] = value;
    return json;
  };
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(...paths), fc.jsonValue()), { minLength: 1, maxLength: 3 }),
      (changes) => {
        const json = changes.reduce((all, [path, value]) => put(all, path, value), file());
        try {
          const own = tokenizerFromJSON(json, "tokenizer.json");
          own.decode(own.encode("low lower 🐋\n123"));
        } catch (error) {
          assert(error instanceof UserError, `${error} for ${JSON.stringify(changes)}`);
        }
      },
    ),
    { numRuns: 400, seed: 11 },
  );
});

Deno.test("characters can be exported too", () => {
  const own = tokenizerFromJSON({ kind: "char", vocab: ["\n", " ", "a", "b", "é", "🐋", "\ufffd"] });
  const files = huggingFaceTokenizerFiles(own);
  assert.deepEqual(Object.keys(files), ["tokenizer.json", "tokenizer_config.json"]);
  const other = new HuggingFaceTokenizer(
    JSON.parse(files["tokenizer.json"]!),
    JSON.parse(files["tokenizer_config.json"]!),
  );
  for (const text of ["ab éa\nb🐋", "abc"]) {
    assert.deepEqual(other.encode(text).ids, [...own.encode(text)], text);
  }
  assert.equal(
    other.decode([...own.encode("ab éa\nb🐋")], { clean_up_tokenization_spaces: false }),
    "ab éa\nb🐋",
  );
});
