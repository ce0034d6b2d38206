/** Text out of tokens: stop texts, prompts, unknown characters. The model is a list of tokens that always come. */

import assert from "assert";
import { UserError } from "../../common/mod.ts";
import { CharTokenizer } from "../../data/mod.ts";
import {
  generateText,
  type TextEnd,
  type TextOptions,
  unknownCharacters,
} from "../../pipeline/generate_text.ts";

const tokenizer = CharTokenizer.fromTexts(["abcdefghijklmnopqrstuvwxyz \n.END"]);

/** A generator that says `text`, and remembers its prompt. */
function saying(text: string) {
  const seen: { prompt?: string } = {};
  async function* generate(prompt: ArrayLike<number>, { max_new_tokens }: { max_new_tokens: number }) {
    seen.prompt = tokenizer.decode(Array.from(prompt));
    for (const token of tokenizer.encode(text).slice(0, max_new_tokens)) yield await Promise.resolve(token);
  }
  return { generate, seen };
}

async function write(text: string, options: TextOptions): Promise<{ pieces: string[]; end: TextEnd }> {
  let end: TextEnd | undefined;
  const pieces = await Array.fromAsync(
    generateText(saying(text), tokenizer, { ...options, onEnd: (e) => end = e }),
  );
  return { pieces, end: end! };
}

Deno.test("without stop texts each token is passed on at once", async () => {
  const { pieces, end } = await write("hello", { max_new_tokens: 4 });
  assert.deepEqual(pieces, ["h", "e", "l", "l"]);
  assert.deepEqual(end, { tokens: 4, stop: undefined });
});

Deno.test("a stop text ends the text, does not stand in it, and never shows in part", async () => {
  const { pieces, end } = await write("one E two EN three END four", { stop: ["END"] });
  assert.equal(pieces.join(""), "one E two EN three ");
  assert.deepEqual(end, { tokens: 22, stop: "END" });
  let shown = "";
  for (const piece of pieces) {
    shown += piece;
    assert.ok(!/(^|[^ N])E?N?D$/.test(shown) || !shown.endsWith("END"));
  }
});

Deno.test("what began like a stop text is passed on when it turns out not to be one, or at the end", async () => {
  assert.equal((await write("aaab", { stop: ["aab"] })).pieces.join(""), "a");
  assert.equal((await write("xEN", { stop: ["END"] })).pieces.join(""), "xEN");
  assert.equal((await write("abcd", { stop: ["bcd", "abc"] })).pieces.join(""), "");
  const { pieces, end } = await write("say\n\nx", { stop: ["\n", "\n\n"] });
  assert.equal(pieces.join(""), "say");
  assert.equal(end.stop, "\n");
});

Deno.test("an empty prompt stands for a new line, none for the default", async () => {
  for (const [given, prompt] of [["", "\n"], [undefined, "\n"], ["ab", "ab"]] as const) {
    const model = saying("x");
    await Array.fromAsync(generateText(model, tokenizer, given === undefined ? {} : { prompt: given }));
    assert.equal(model.seen.prompt, prompt);
  }
});

Deno.test("options out of range are a user's error that names them", async () => {
  await assert.rejects(
    write("x", { temperature: -1 }),
    (e) => e instanceof UserError && /generation\.temperature.*at least 0.*-1/.test(e.message),
  );
});

Deno.test("unknownCharacters() gives each once, whole code points", () => {
  assert.deepEqual(unknownCharacters("caffè ☃🐋🐋 Z", tokenizer), ["è", "☃", "🐋", "Z"]);
  assert.deepEqual(unknownCharacters("abc.\n", tokenizer), []);
});
