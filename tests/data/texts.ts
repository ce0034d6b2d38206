/** Texts that tokenizers find hard, and text and bytes of chance. */

import { findCorpus } from "../../data/mod.ts";
import { randomInt } from "../../common/mod.ts";

/** Text of code points from all planes, never halves of pairs. */
export function anyText(seed: number, length: number): string {
  let text = "";
  for (let i = 0; text.length < length; i++) {
    const codePoint = randomInt(seed, 1, i, i % 2 === 0 ? 0x3000 : 0x110000);
    if (codePoint >= 0xd800 && codePoint < 0xe000) continue;
    text += String.fromCodePoint(codePoint);
  }
  return text;
}

/** Bytes of chance: hardly ever UTF-8. */
export function anyBytes(seed: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => randomInt(seed, 2, i, 256));
}

/** Letters of chance, without a space. */
export function letters(seed: number, length: number): string {
  return Array.from({ length }, (_, i) => String.fromCharCode(97 + randomInt(seed, 3, i, 26))).join("");
}

/** Emoji, combining marks, white space of all kinds, line ends, scripts, contractions, control characters. */
export const HARD_TEXTS: readonly string[] = [
  "",
  " ",
  "Call me Ishmael.",
  "whale 🐋👩‍👩‍👧‍👦🏳️‍🌈 🇬🇧",
  "e\u0301 é ẛ̣ Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L",
  "a\r\nb\r\n\r\n  c\n\n\n d\t\te\rf",
  "   three before, three after   ",
  " \n \n\n \u00a0\u2003\u3000x\u0085y\u2028z\u2029",
  "\uFEFFbyte order mark\uFEFF",
  "don't DON'T can't we'll I'd they've it's you're I'm 'tis ''s",
  "1234567 3.14 ٣٤٥ ½ ² Ⅷ 一二三",
  "中文没有空格。日本語のテキスト、한국어 텍스트",
  "שלום עולם مرحبا بالعالم नमस्ते ไทย",
  "<|endoftext|> <|endoftext| |>",
  "\0\x01\x1f\x7f\x80\x9f",
  "def f(x):\n    return {k: v**2 for k, v in x.items() if k != '_'}  # ok\n",
  "http://example.org/a?b=c&d=%20#e --- *** ___ ...!!!???",
  "ſ K ﬁ ǆ İ ı ß ẞ Σς",
  "\u{10ffff}\u{e000}\ufffd\ufffe",
];

let moby: Promise<string> | undefined;

/** All of Moby-Dick. */
export function mobyDick(): Promise<string> {
  return moby ??= findCorpus("moby-dick").then(async ({ files }) => {
    const texts = await Promise.all(files.map((file) => Deno.readTextFile(file)));
    return texts.join("\n\n");
  });
}
