import assert from "assert";
import { join } from "path";
import { UserError } from "../../common/mod.ts";
import {
  CharTokenizer,
  gpt2Tokenizer,
  huggingFaceTokenizerFiles,
  type Tokenizer,
  tokenizerFromJSON,
  tokenizerInFolder,
  trainBpe,
} from "../../data/mod.ts";
import { HARD_TEXTS } from "./texts.ts";

async function withFiles(files: Record<string, string>, body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(join(dir, name), text);
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function assertSame(read: Tokenizer | undefined, original: Tokenizer): void {
  for (const text of HARD_TEXTS) {
    assert.deepEqual(
      read!.encode(text, { allowed_special: "all" }),
      original.encode(text, { allowed_special: "all" }),
    );
  }
  assert.equal(read!.vocab_size, original.vocab_size);
  assert.deepEqual(read!.special_tokens, original.special_tokens);
}

/** A byte-level BPE of a few words. */
function bpe(text: string, vocab_size: number): Tokenizer {
  const words = new Map(text.split(/(?= )/).map((word) => [word, 1]));
  return tokenizerFromJSON({ kind: "bpe", tokenizer: trainBpe(words, { vocab_size }) });
}

const only = (files: Record<string, string>, ...names: string[]) =>
  Object.fromEntries(names.map((name) => [name, files[name]!]));

Deno.test("a folder's tokenizer is read from tokenizer.json, or from vocab.json and merges.txt", async () => {
  const gpt2 = gpt2Tokenizer();
  const files = huggingFaceTokenizerFiles(gpt2);
  await withFiles(
    only(files, "tokenizer.json"),
    async (dir) => assertSame(await tokenizerInFolder(dir), gpt2),
  );
  await withFiles(
    only(files, "vocab.json", "merges.txt"),
    async (dir) => assertSame(await tokenizerInFolder(dir), gpt2),
  );
});

Deno.test("ChatGoT's own file goes before the others; an empty folder has no tokenizer", async () => {
  const char = CharTokenizer.fromTexts(["abc"]);
  const files = {
    ...huggingFaceTokenizerFiles(char),
    "chatgot_tokenizer.json": JSON.stringify(char.toJSON()),
  };
  await withFiles(
    files,
    async (dir) => assert.deepEqual((await tokenizerInFolder(dir))!.toJSON(), char.toJSON()),
  );
  await withFiles({}, async (dir) => assert.equal(await tokenizerInFolder(dir), undefined));
});

Deno.test("added tokens and special ones of the older form are found", async () => {
  const files = huggingFaceTokenizerFiles(
    bpe("the whale and the sea, the white whale", 270),
  );
  const vocab = JSON.parse(files["vocab.json"]!);
  const size = Object.keys(vocab).length;
  await withFiles({
    "vocab.json": JSON.stringify({ ...vocab, "<eos>": size }),
    "merges.txt": files["merges.txt"]!,
    "added_tokens.json": JSON.stringify({ "<pad>": size + 1 }),
    "special_tokens_map.json": JSON.stringify({ eos_token: { content: "<eos>" } }),
  }, async (dir) => {
    const tokenizer = (await tokenizerInFolder(dir))!;
    assert.equal(tokenizer.vocab_size, size + 2);
    const special = [...tokenizer.special_tokens].sort(([, a], [, b]) => a - b);
    assert.deepEqual(special, [["<|endoftext|>", size - 1], ["<eos>", size], ["<pad>", size + 1]]);
    assert.deepEqual([...tokenizer.encode("<pad><eos>", { allowed_special: "all" })], [size + 1, size]);
  });
});

Deno.test("damaged files are refused with file and place", async () => {
  const files = huggingFaceTokenizerFiles(bpe("the whale and the sea", 260));
  const old = only(files, "vocab.json", "merges.txt");
  const check = (files: Record<string, string>, message: RegExp) =>
    withFiles(files, (dir) =>
      assert.rejects(tokenizerInFolder(dir), (error) => {
        assert.ok(error instanceof UserError, `${error}`);
        assert.match(error.describe(), message);
        return true;
      }));
  const merges = old["merges.txt"]!;
  await check(
    { ...old, "merges.txt": merges + "Zz q\n" },
    /merges\.txt:\d+: the merge names "Zz", which is not in vocab\.json/,
  );
  await check({ ...old, "merges.txt": merges + "a b c\n" }, /merges\.txt:\d+: expected two tokens/);
  await check(
    { ...old, "vocab.json": `{"a": -1}` },
    /vocab\.json: a: expected a number of at least 0, got -1/,
  );
  await check({ ...old, "vocab.json": `{"a": 1,` }, /vocab\.json:1: is not valid JSON/);
  await check({ "tokenizer.json": `{"model": {"type": "WordPiece"}}` }, /tokenizer\.json: model\.type/);
  const json = JSON.parse(files["tokenizer.json"]!);
  json.model.merges.push(["nope", "nothing"]);
  await check(
    { "tokenizer.json": JSON.stringify(json) },
    /tokenizer\.json: model\.merges\[\d+\].*names "nope"/,
  );
});
