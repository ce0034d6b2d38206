/** Reading what an address asks for; what does not make sense is refused with a sentence that says what would. */

import { Refusal } from "./access.ts";

/** The values of an address's query. */
export class Query {
  /** @param params as they stand in the address */
  constructor(private readonly params: URLSearchParams) {}

  /** The text of a key, or `otherwise`. Throws `Refusal` (400) where it is longer than any that makes sense. */
  text(key: string, otherwise: string): string {
    return this.params.has(key) ? this.#checked(key, this.params.get(key)!) : otherwise;
  }

  /** All texts of a key, in their order and each once. Throws `Refusal` (400) for more than `most`. */
  texts(key: string, most: number): string[] {
    const all = [...new Set(this.params.getAll(key))];
    if (all.length > most) throw new Refusal(400, `${key}: at most ${most} at a time`);
    return all.map((text) => this.#checked(key, text));
  }

  /** One of several words, the first where the key is missing. Throws `Refusal` (400) for another word. */
  oneOf<T extends string>(key: string, words: readonly [T, ...T[]]): T {
    const given = this.params.get(key) ?? words[0];
    const word = words.find((known) => known === given);
    if (word === undefined) throw new Refusal(400, `${key}: one of ${words.join(", ")}`);
    return word;
  }

  /** A number between bounds, `otherwise` where the key is missing. Throws `Refusal` (400) for anything else. */
  number(
    key: string,
    { least, most, otherwise }: { least: number; most: number; otherwise: number },
  ): number {
    const given = this.params.get(key);
    if (given === null) return otherwise;
    const value = Number(given);
    if (given.trim() !== "" && value >= least && value <= most) return value;
    throw new Refusal(400, `${key}: a number from ${least} to ${most}`);
  }

  /** Whether a key is there and not 0. */
  flag(key: string): boolean {
    return this.params.has(key) && this.params.get(key) !== "0";
  }

  #checked(key: string, text: string): string {
    if (text.length > MAX_LENGTH) throw new Refusal(400, `${key}: longer than ${MAX_LENGTH} characters`);
    return text;
  }
}

const MAX_LENGTH = 2000;
