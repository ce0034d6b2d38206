/** Training of a byte-level BPE against the plainest way to do it, and what is saved against Hugging Face's library. */

import assert from "assert";
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { huggingFaceTokenizerFiles, tokenizerFromJSON, trainBpe } from "../../data/mod.ts";
import type { ByteTokenizer } from "../../data/mod.ts";
import { randomInt } from "../../common/mod.ts";
import { anyBytes, anyText, HARD_TEXTS, mobyDick } from "./texts.ts";

type Options = Parameters<typeof trainBpe>[1];

const GPT2 = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

function wordsOf(text: string, pattern = GPT2): Map<string, number> {
  const words = new Map<string, number>();
  for (const [word] of text.matchAll(pattern)) words.set(word, (words.get(word) ?? 0) + 1);
  return words;
}

function train(text: string, options: Options): ByteTokenizer {
  const json = JSON.parse(JSON.stringify(trainBpe(wordsOf(text), options)));
  return tokenizerFromJSON({ kind: "bpe", tokenizer: json }) as ByteTokenizer;
}

/** All pairs counted anew for every merge, on bytes as strings of one character each; ids are places in a list. */
function plainMerges(
  words: Map<string, number>,
  first: string[],
  vocab_size: number,
  least: number,
): string[][] {
  const names = [...first];
  const merges: string[][] = [];
  let rows = [...words].map(([word, count]) => ({
    count,
    row: Array.from(new TextEncoder().encode(word), (byte) => String.fromCharCode(byte)),
  }));
  while (names.length + 1 < vocab_size) {
    const counts = new Map<string, number>();
    for (const { row, count } of rows) {
      for (let i = 1; i < row.length; i++) {
        const pair = JSON.stringify([row[i - 1], row[i]]);
        counts.set(pair, (counts.get(pair) ?? 0) + count);
      }
    }
    const order = [...counts].map(([pair, count]) => {
      const [left, right] = JSON.parse(pair) as [string, string];
      return { left, right, count, ids: [names.indexOf(left), names.indexOf(right)] as const };
    }).sort((a, b) => b.count - a.count || a.ids[0] - b.ids[0] || a.ids[1] - b.ids[1]);
    const best = order[0];
    if (best === undefined || best.count < least) break;
    const { left, right } = best;
    merges.push([left, right]);
    if (!names.includes(left + right)) names.push(left + right);
    rows = rows.map(({ row, count }) => {
      const out: string[] = [];
      for (let i = 0; i < row.length; i++) {
        if (row[i] === left && row[i + 1] === right) out.push(row[i++]! + row[i]!);
        else out.push(row[i]!);
      }
      return { row: out, count };
    });
  }
  return merges;
}

Deno.test("trainBpe() merges as counting everything anew does, ties and all", async () => {
  const chance = (seed: number) =>
    Array.from({ length: 300 }, (_, i) => "abcd \n"[randomInt(seed, 5, i, 6)]).join("");
  const texts = [1, 2, 3, 4, 5, 6].map(chance);
  texts.push(
    "aaa aaaa aaaaa aa a",
    "ab abc bc bcd abcd ".repeat(3),
    (await mobyDick()).slice(5000, 9000),
    "🐋é🐋",
  );
  for (const text of texts) {
    for (const min_frequency of [1, 3]) {
      const { model } = trainBpe(wordsOf(text), { vocab_size: 330, min_frequency });
      const first = Object.keys(model.vocab).filter((name) => model.vocab[name]! < 256)
        .sort((a, b) => model.vocab[a]! - model.vocab[b]!);
      const byteOf = new Map(first.map((name) => [name, tokenizerByte(model, name)]));
      const spelled = (name: string) => [...name].map((c) => byteOf.get(c)).join("");
      const expected = plainMerges(wordsOf(text), first.map((name) => byteOf.get(name)!), 330, min_frequency);
      assert.deepEqual(model.merges.map((merge) => merge.map(spelled)), expected, text.slice(0, 40));
    }
  }
});

/** The byte that a name of one character stands for, by what decoding says. */
function tokenizerByte(model: { vocab: Record<string, number> }, name: string): string {
  return String.fromCharCode(empty.decodeBytes([model.vocab[name]!])[0]!);
}

const empty = train("", { vocab_size: 257 });

Deno.test("the order of words does not matter, and the same text gives the same bytes", async () => {
  const text = (await mobyDick()).slice(0, 60_000);
  const options = { vocab_size: 1000, min_frequency: 2 };
  const words = wordsOf(text);
  const json = JSON.stringify(trainBpe(words, options));
  assert.equal(JSON.stringify(trainBpe(words, options)), json);
  assert.equal(JSON.stringify(trainBpe(new Map([...words].reverse()), options)), json);
});

Deno.test("vocab_size is kept, min_frequency may stop before, the end-of-text token is last", async () => {
  const text = (await mobyDick()).slice(0, 60_000);
  const full = train(text, { vocab_size: 700 });
  assert.equal(full.vocab_size, 700);
  assert.equal(full.special_tokens.get("<|endoftext|>"), 699);
  const short = train(text, { vocab_size: 100_000, min_frequency: 20 });
  assert(short.vocab_size > 257 && short.vocab_size < 2000);
  assert.equal(empty.vocab_size, 257);
  assert.equal(empty.decode(empty.encode("anything 🐋")), "anything 🐋");
});

for (const split_pattern of ["gpt2", "gpt4"] as const) {
  Deno.test(`@huggingface/tokenizers loads what is saved and encodes alike: ${split_pattern}`, async () => {
    const text = await mobyDick();
    const own = train(text.slice(0, 300_000) + HARD_TEXTS.join("\n").repeat(3), {
      vocab_size: 2000,
      min_frequency: 2,
      split_pattern,
    });
    const files = huggingFaceTokenizerFiles(own);
    const other = new HuggingFaceTokenizer(
      JSON.parse(files["tokenizer.json"]!),
      JSON.parse(files["tokenizer_config.json"]!),
    );
    for (const each of [...HARD_TEXTS, anyText(3, 3000), text.slice(300_000, 400_000)]) {
      assert.equal(own.decode(own.encode(each)), each);
      if (each.includes("<|endoftext|>")) continue; // there special tokens are always allowed
      assert.deepEqual(other.encode(each).ids, [...own.encode(each)], JSON.stringify(each.slice(0, 60)));
    }
    const special = "one<|endoftext|>two";
    assert.deepEqual(other.encode(special).ids, [...own.encode(special, { allowed_special: "all" })]);
  });
}

Deno.test("a trained tokenizer gives any text and any bytes back", async () => {
  const own = train((await mobyDick()).slice(0, 100_000), { vocab_size: 1000 });
  for (let seed = 1; seed <= 10; seed++) {
    assert.equal(own.decode(own.encode(anyText(seed, 1000))), anyText(seed, 1000));
    assert.deepEqual(
      own.decodeBytes(own.encodeBytes(anyBytes(seed, 1000))),
      new Uint8Array(anyBytes(seed, 1000)),
    );
  }
  const again = tokenizerFromJSON(JSON.parse(JSON.stringify(own)));
  assert.deepEqual(again.encode("Call me Ishmael."), own.encode("Call me Ishmael."));
  assert.deepEqual(again.toJSON(), own.toJSON());
});
