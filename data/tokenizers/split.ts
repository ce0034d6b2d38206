/**
 * Cutting text into pieces before byte pair encoding: words with the space before them, numbers, punctuation, white space.
 * No token reaches across two pieces. Patterns are those of the field, written as Rust's and Oniguruma's regular
 * expressions are, and made JavaScript's here: `\s` is Unicode's white space (JavaScript's has U+FEFF and lacks U+0085).
 */

/** GPT-2's pattern (OpenAI, `encoder.py`), as tiktoken's `r50k_base` has it. */
export const GPT2_PATTERN =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/**
 * GPT-4's pattern (tiktoken's `cl100k_base`), its contractions written out for ASCII letters: capitals too, numbers of at
 * most three digits, line ends at punctuation.
 */
export const GPT4_PATTERN =
  "'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}" +
  "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** Patterns by the names that a config gives them. */
export const SPLIT_PATTERNS: Record<"gpt2" | "gpt4", string> = { gpt2: GPT2_PATTERN, gpt4: GPT4_PATTERN };

/** One cutting: where it matches, and which parts are kept. */
export interface SplitStep {
  /** The pattern in Rust's or Oniguruma's form. */
  pattern: string;
  /** Whether what matches is kept, a piece each. @default true */
  matches?: boolean;
  /** Whether what stands between matches is kept, a piece each. @default true */
  gaps?: boolean;
}

/** Cuts text by one or several patterns, one within the pieces of the other. */
export class Splitter {
  private readonly steps: { here: RegExp; next: RegExp; matches: boolean; gaps: boolean }[];

  /** Throws `SyntaxError` if a pattern cannot be had in JavaScript. */
  constructor(steps: readonly SplitStep[]) {
    this.steps = steps.map(({ pattern, matches = true, gaps = true }) => {
      const source = javascriptPattern(pattern);
      return { here: new RegExp(source, "uy"), next: new RegExp(source, "ug"), matches, gaps };
    });
  }

  /** Calls `visit` for each piece of a text in order. */
  forEach(text: string, visit: (piece: string) => void): void {
    this.cut(0, text, visit);
  }

  private cut(depth: number, text: string, visit: (piece: string) => void): void {
    const step = this.steps[depth];
    if (step === undefined) return visit(text);
    const { here, next, matches, gaps } = step;
    const isLast = depth === this.steps.length - 1;
    const keep = isLast ? visit : (piece: string) => this.cut(depth + 1, piece, visit);
    for (let at = 0; at < text.length;) {
      here.lastIndex = at;
      if (here.test(text) && here.lastIndex > at) {
        if (matches) keep(text.slice(at, here.lastIndex));
        at = here.lastIndex;
        continue;
      }
      next.lastIndex = at; // nothing begins here: up to where something does
      let found = next.exec(text);
      while (found !== null && found[0] === "") {
        next.lastIndex++;
        found = next.exec(text);
      }
      const end = found?.index ?? text.length;
      if (gaps) keep(text.slice(at, end));
      at = end;
    }
  }
}

/** A pattern as JavaScript with the flag `u` reads it. Possessive quantifiers become greedy ones. */
function javascriptPattern(pattern: string): string {
  return pattern
    .replace(/\\(.)/gsu, (whole, letter: string) => ESCAPES[letter] ?? whole)
    .replace(
      /\\.|\[(?:\\.|[^\]\\])*\]|([?*+]|\{\d+,?\d*\})\+/gsu,
      (whole, quantifier: string | undefined) => quantifier ?? whole,
    );
}

const ESCAPES: Record<string, string> = {
  s: "\\p{White_Space}",
  S: "\\P{White_Space}",
  d: "\\p{Nd}",
  D: "\\P{Nd}",
};
