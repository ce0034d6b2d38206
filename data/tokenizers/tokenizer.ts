/** What every tokenizer does. A new kind is a file here that keeps this, and a line in `load.ts`. */

/** Turns text into token ids and back. */
export interface Tokenizer {
  /** The kind's name, as in the config's `tokenizer`. */
  readonly kind: string;
  /** How many ids there are, special tokens included: ids are 0 to vocab_size - 1. */
  readonly vocab_size: number;
  /** Tokens that stand for no text, by name: `<|endoftext|>`. Their ids come from `encode` only when allowed. */
  readonly special_tokens: ReadonlyMap<string, number>;
  /** The ids of a text. Never throws: what the vocabulary lacks becomes the unknown token. */
  encode(text: string, options?: EncodeOptions): Uint32Array;
  /** The text of ids. Never throws: an id that the vocabulary lacks reads as the unknown token. */
  decode(ids: Iterable<number>): string;
  /** Decodes one id after the other, as a model says them. */
  decoder(): StreamDecoder;
  /** UTF-8 bytes of text that an id stands for; 0 for special tokens, 3 for the unknown one (U+FFFD). */
  byteLength(id: number): number;
  /** All that `tokenizerFromJSON` needs to make the same tokenizer again. */
  toJSON(): TokenizerJSON;
}

/** A tokenizer whose smallest tokens are bytes, so that it can say anything and gives all of it back. */
export interface ByteTokenizer extends Tokenizer {
  /** The ids of any bytes, be they UTF-8 or not; of UTF-8 the same as `encode` gives of the text. */
  encodeBytes(bytes: Uint8Array): Uint32Array;
  /** The bytes of ids: those that were encoded. Special tokens are the bytes of their names. */
  decodeBytes(ids: Iterable<number>): Uint8Array<ArrayBuffer>;
}

/** How to encode. */
export interface EncodeOptions {
  /**
   * Special tokens whose names in the text stand for themselves; the names of all others are text like any other, as
   * in tiktoken's `encode_ordinary`. @default none
   */
  allowed_special?: "all" | readonly string[];
  /** The text goes on from one that was encoded before: nothing is put before it. @default false */
  continues?: boolean;
}

/** Decoding piece by piece. A character of several tokens comes when its last one has come, and never as U+FFFD before. */
export interface StreamDecoder {
  /** The text that is certain now; empty while a character is unfinished. */
  push(id: number): string;
  /** What is left: U+FFFD for a character that was never finished, else nothing. */
  end(): string;
}

/** A tokenizer as it is saved beside data and models. */
export type TokenizerJSON = { kind: string } & Record<string, unknown>;

/** The token between documents, named as GPT-2 names it. */
export const END_OF_TEXT = "<|endoftext|>";
