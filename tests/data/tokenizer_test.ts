/** The character tokenizer: any text of its corpus comes back, anything else does no harm. */

import assert from "assert";
import { CharTokenizer, tokenizerFromJSON, UNKNOWN_CHARACTER } from "../../data/mod.ts";
import { randomInt, UserError } from "../../common/mod.ts";

/** Text of code points from all planes, never halves of pairs. */
function anyText(seed: number, length: number): string {
  let text = "";
  for (let i = 0; text.length < length; i++) {
    const codePoint = randomInt(seed, 1, i, i % 2 === 0 ? 0x3000 : 0x110000);
    if (codePoint >= 0xd800 && codePoint < 0xe000) continue;
    text += String.fromCodePoint(codePoint);
  }
  return text;
}

Deno.test("encode() and decode() give any text back", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const text = anyText(seed, 300) + "whale 🐋👩‍👩‍👧 חן é e\u0301\r\n\0";
    const tokenizer = CharTokenizer.fromTexts([text]);
    const ids = tokenizer.encode(text);
    assert.equal(ids.length, [...text].length, "one token for each code point");
    assert.equal(tokenizer.decode(ids), text);
    const characters = new Set([...text].filter((c) => c !== UNKNOWN_CHARACTER));
    assert.equal(tokenizer.vocab_size, characters.size + 1);
  }
});

Deno.test("the vocabulary is sorted by code point, whatever the order of texts, with the unknown token last", () => {
  const tokenizer = CharTokenizer.fromTexts(["zebra", "🐋 é"]);
  assert.deepEqual(tokenizer.vocab, [" ", "a", "b", "e", "r", "z", "é", "🐋", UNKNOWN_CHARACTER]);
  assert.deepEqual(CharTokenizer.fromTexts(["🐋 é", "zebra"]).vocab, tokenizer.vocab);
  assert.deepEqual([...tokenizer.encode("bz🐋")], [2, 5, 7]);
});

Deno.test("what the vocabulary lacks becomes the unknown token, halves of pairs and strange ids included", () => {
  const tokenizer = CharTokenizer.fromTexts(["ab"]);
  assert.deepEqual([...tokenizer.encode("axb🐋\ud83d")], [0, 2, 1, 2, 2]);
  assert.equal(tokenizer.decode([0, 2, 1, 77, -1]), "a\uFFFDb\uFFFD\uFFFD");
  const withUnknown = CharTokenizer.fromTexts(["a\uFFFD"]);
  assert.equal(withUnknown.vocab_size, 2, "a corpus that has U+FFFD itself needs no second one");
  assert.equal(tokenizer.encode("").length, 0);
});

Deno.test("text may be decoded piece by piece", () => {
  const text = "é🐋—x";
  const tokenizer = CharTokenizer.fromTexts([text]);
  assert.equal([...tokenizer.encode(text)].map((id) => tokenizer.decode([id])).join(""), text);
});

Deno.test("a saved tokenizer is made again, a damaged one is a UserError", () => {
  const tokenizer = CharTokenizer.fromTexts(['call me "Ishmael" \\ 🐋\n']);
  const again = tokenizerFromJSON(JSON.parse(JSON.stringify(tokenizer)));
  assert.deepEqual(again.toJSON(), tokenizer.toJSON());
  assert.equal(again.decode(again.encode("me 🐋")), "me 🐋");
  const bad: unknown[] = [
    null,
    {},
    { kind: "bpe", vocab: ["a"] },
    { kind: "char" },
    { kind: "char", vocab: ["a", "b"] },
    { kind: "char", vocab: ["a", "a", "\uFFFD"] },
    { kind: "char", vocab: ["ab", "\uFFFD"] },
    { kind: "char", vocab: [1, "\uFFFD"] },
  ];
  for (const json of bad) {
    assert.throws(
      () => tokenizerFromJSON(json, "t.json"),
      (e) => e instanceof UserError && e.file === "t.json",
      JSON.stringify(json),
    );
  }
});
