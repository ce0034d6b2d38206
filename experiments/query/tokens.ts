/** The words and signs of a `--where` expression. */

import { UserError } from "../../common/mod.ts";

/** One of them: a `word` stands bare, a `text` in quotes, a `name` in backticks. */
export interface Token {
  kind: "word" | "text" | "name" | "comparison" | "sign";
  /** What stands there, without its quotes. */
  text: string;
  /** Where it begins in the expression. */
  start: number;
}

const COMPARISON = /==|!=|<=|>=|=|<|>|~/y;
const WORD = /[^\s()=!<>~"'`]+/y;
const QUOTES: Record<string, Token["kind"]> = { '"': "text", "'": "text", "`": "name" };

/**
 * Splits an expression. In quotes, a backslash takes the next character as it is.
 *
 * @throws UserError where a quote is not closed, or a sign means nothing
 */
export function tokensOf(expression: string): Token[] {
  const tokens: Token[] = [];
  const match = (pattern: RegExp, at: number): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(expression)?.[0];
  };
  for (let at = 0; at < expression.length;) {
    const start = at;
    const first = expression[at]!;
    const quoted = QUOTES[first];
    const comparison = match(COMPARISON, at);
    const word = match(WORD, at);
    if (/\s/.test(first)) at++;
    else if (first === "(" || first === ")") tokens.push({ kind: "sign", text: expression[at++]!, start });
    else if (quoted !== undefined) {
      const { text, end } = quotation(expression, at);
      tokens.push({ kind: quoted, text, start });
      at = end;
    } else if (comparison !== undefined) {
      tokens.push({ kind: "comparison", text: comparison, start });
      at += comparison.length;
    } else if (word !== undefined) {
      tokens.push({ kind: "word", text: word, start });
      at += word.length;
    } else {
      throw new UserError(`${first} means nothing here`, {
        file: "--where",
        hint: "comparisons are = != < <= > >= ~",
      });
    }
  }
  return tokens;
}

/** The text between the quote at `start` and its fellow, and where that is past. */
function quotation(expression: string, start: number): { text: string; end: number } {
  let text = "";
  for (let at = start + 1; at < expression.length; at++) {
    if (expression[at] === expression[start]) return { text, end: at + 1 };
    if (expression[at] === "\\" && at + 1 < expression.length) at++;
    text += expression[at];
  }
  throw new UserError(`a quote is not closed: ${expression.slice(start, start + 40)}`, {
    file: "--where",
    hint: "texts stand in \"…\" or '…'",
  });
}
