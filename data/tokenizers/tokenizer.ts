/** What every tokenizer does. A new kind is a file here that keeps this, and a line in `load.ts`. */

/** Turns text into token ids and back. */
export interface Tokenizer {
  /** The kind's name, as in the config's `tokenizer`. */
  readonly kind: string;
  /** How many ids there are, special tokens included: ids are 0 to vocab_size - 1. */
  readonly vocab_size: number;
  /** The ids of a text. Never throws: what the vocabulary lacks becomes the unknown token. */
  encode(text: string): Uint32Array;
  /** The text of ids. Never throws: an id that the vocabulary lacks reads as the unknown token. */
  decode(ids: Iterable<number>): string;
  /** All that `tokenizerFromJSON` needs to make the same tokenizer again. */
  toJSON(): TokenizerJSON;
}

/** A tokenizer as it is saved beside data and models. */
export type TokenizerJSON = { kind: string } & Record<string, unknown>;
