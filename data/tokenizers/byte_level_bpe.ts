/**
 * Byte-level byte pair encoding, as GPT-2 has it: text is cut into pieces (`split.ts`), each piece's UTF-8 bytes are the
 * first ids, and neighbours merge by rank (`merges.ts`). Any text and any bytes come back as they were, unless the
 * tokenizer normalizes. Pieces met before are remembered. Where the tables come from is not this file's concern.
 */

import { binaryString, utf8Runs } from "./bytes.ts";
import { Merges } from "./merges.ts";
import type { Splitter } from "./split.ts";
import type { ByteTokenizer, EncodeOptions, StreamDecoder, TokenizerJSON } from "./tokenizer.ts";

/** A token that is found in text by its name. */
export interface AddedToken {
  name: string;
  id: number;
  /** Stands for no text and is found only when allowed; others always are. */
  special: boolean;
}

/** What a byte-level BPE is made of. */
export interface BpeTables {
  kind: string;
  /** The bytes of each id, a character of code 0 to 255 for each; undefined for an added token or none. */
  tokens: readonly (string | undefined)[];
  /** By `left * tokens.length + right`, the rank of that pair. */
  ranks: ReadonlyMap<number, number>;
  /** The id that the pair of a rank becomes. */
  results: ArrayLike<number>;
  splitter: Splitter;
  added: readonly AddedToken[];
  /** Done to text before it is cut. */
  normalize?: (text: string) => string;
  /** A space goes before a text that does not begin with one. */
  add_prefix_space?: boolean;
  /** A piece that is a token is that token, whatever its merges would make of it. */
  ignore_merges?: boolean;
  /** The id of bytes that are no token; without it they are left out. */
  unknownId?: number;
  /** What `toJSON` gives. */
  toJSON(): TokenizerJSON;
}

const CACHED_LENGTH = 32; //     UTF-16 code units of the longest piece that is remembered
const CACHED_PIECES = 1 << 16;
const CACHE_IDS = 1 << 19; //    ids of all pieces that are remembered
const REPLACEMENT = new Uint8Array([0xef, 0xbf, 0xbd]); // U+FFFD

/** A byte-level BPE tokenizer. */
export class ByteLevelBpe implements ByteTokenizer {
  readonly kind: string;
  readonly vocab_size: number;
  readonly special_tokens: ReadonlyMap<string, number>;
  private readonly merges: Merges;
  private readonly byteIds = new Int32Array(256).fill(-1);
  /** All tokens' bytes, one after the other; those of id i from `ends[i - 1]` to `ends[i]`. */
  private readonly bytes: Uint8Array;
  private readonly ends: Uint32Array;
  private readonly known: Uint8Array;
  private readonly specialIds: Set<number>;
  private readonly wholePieces: ReadonlyMap<string, number> | undefined;
  private readonly addedIds: ReadonlyMap<string, number>;
  private readonly settings: BpeTables;

  /** Piece -> offset in `cachedIds` * 256 + number of ids. */
  private readonly cache = new Map<string, number>();
  private readonly cachedIds = new Int32Array(CACHE_IDS);
  private cachedCount = 0;
  private scratchBytes = new Uint8Array(256);
  private scratchIds = new Int32Array(256);
  private readonly encoder = new TextEncoder();
  private readonly copier = new TextDecoder("utf-8", { ignoreBOM: true });

  constructor(tables: BpeTables) {
    this.settings = { ...tables, tokens: [] }; // the tokens are in `bytes` from now on
    const { kind, tokens, ranks, results, added, ignore_merges } = tables;
    this.kind = kind;
    this.vocab_size = added.reduce((size, { id }) => Math.max(size, id + 1), tokens.length);
    this.special_tokens = new Map(added.filter((t) => t.special).map(({ name, id }) => [name, id]));
    this.specialIds = new Set(this.special_tokens.values());
    this.addedIds = new Map(added.map(({ name, id }) => [name, id]));
    this.merges = new Merges(ranks, results, tokens.length);

    this.ends = new Uint32Array(this.vocab_size);
    this.known = new Uint8Array(this.vocab_size);
    const addedBytes = new Map(added.map(({ name, id }) => [id, this.encoder.encode(name)]));
    const lengthOf = (id: number) => addedBytes.get(id)?.length ?? tokens[id]?.length ?? 0;
    for (let id = 0; id < this.vocab_size; id++) this.ends[id] = (this.ends[id - 1] ?? 0) + lengthOf(id);
    this.bytes = new Uint8Array(this.ends.at(-1) ?? 0);
    for (let id = 0; id < this.vocab_size; id++) {
      const start = this.ends[id - 1] ?? 0;
      const token = tokens[id];
      const named = addedBytes.get(id);
      if (named !== undefined) this.bytes.set(named, start);
      else if (token === undefined) continue;
      else for (let i = 0; i < token.length; i++) this.bytes[start + i] = token.charCodeAt(i);
      this.known[id] = 1;
    }
    tokens.forEach((token, id) => {
      if (token?.length === 1) this.byteIds[token.charCodeAt(0)] = id;
    });
    if (ignore_merges) {
      this.wholePieces = new Map(tokens.flatMap((token, id) => token === undefined ? [] : [[token, id]]));
    }
  }

  encode(text: string, options: EncodeOptions = {}): Uint32Array {
    const out = new IdList(text.length / 3);
    let continues = options.continues ?? false;
    const finder = this.addedFinder(options.allowed_special ?? []);
    let at = 0;
    for (const found of finder === undefined ? [] : text.matchAll(finder)) {
      this.encodePlain(text.slice(at, found.index), continues, out);
      out.push(this.addedIds.get(found[0])!);
      at = found.index + found[0].length;
      continues = false;
    }
    this.encodePlain(at === 0 ? text : text.slice(at), continues, out);
    return out.taken();
  }

  encodeBytes(bytes: Uint8Array): Uint32Array {
    const out = new IdList(bytes.length / 3);
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    for (const run of utf8Runs(bytes)) {
      if (run.valid) this.encodePlain(decoder.decode(run.bytes), true, out);
      else this.encodePiece(run.bytes, out);
    }
    return out.taken();
  }

  decode(ids: Iterable<number>): string {
    return this.copier.decode(this.decodeBytes(ids));
  }

  decodeBytes(ids: Iterable<number>): Uint8Array<ArrayBuffer> {
    const parts = Array.from(ids, (id) => this.bytesOf(id));
    const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }

  decoder(): StreamDecoder {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return {
      push: (id) => decoder.decode(this.bytesOf(id), { stream: true }),
      end: () => decoder.decode(),
    };
  }

  byteLength(id: number): number {
    return this.specialIds.has(id) ? 0 : this.bytesOf(id).length;
  }

  /** The bytes of an id; those of U+FFFD where there is no such id. */
  bytesOf(id: number): Uint8Array {
    if (this.known[id] !== 1) return REPLACEMENT;
    return this.bytes.subarray(id === 0 ? 0 : this.ends[id - 1], this.ends[id]);
  }

  /**
   * The two tokens that a token is merged from: what merging by lower ranks alone makes of its bytes. Undefined for single
   * bytes, added tokens, and tokens that merging does not reach. Ranks must be ids, as in tiktoken's tables.
   */
  partsOf(id: number): [number, number] | undefined {
    const length = this.loadBytes(this.bytesOf(id));
    if (length < 2 || this.specialIds.has(id)) return undefined;
    const count = this.merges.apply(this.scratchIds, length, id);
    return count === 2 ? [this.scratchIds[0]!, this.scratchIds[1]!] : undefined;
  }

  toJSON(): TokenizerJSON {
    return this.settings.toJSON();
  }

  /** Finds added tokens in a text: those that stand for text, and the special ones that are allowed. */
  private addedFinder(allowed: "all" | readonly string[]): RegExp | undefined {
    const names = this.settings.added
      .filter(({ name, special }) => !special || allowed === "all" || allowed.includes(name))
      .map(({ name }) => name)
      .sort((a, b) => b.length - a.length); // the longest that stands at a place
    if (names.length === 0) return undefined;
    return new RegExp(names.map((name) => name.replace(/[\\^$.*+?()[\]{}|\/]/g, "\\$&")).join("|"), "gu");
  }

  private encodePlain(text: string, continues: boolean, out: IdList): void {
    if (text === "") return;
    const { normalize, add_prefix_space, splitter } = this.settings;
    if (normalize !== undefined) text = normalize(text);
    if (add_prefix_space && !continues && !text.startsWith(" ")) text = " " + text;
    splitter.forEach(text, (piece) => {
      const packed = this.cache.get(piece);
      if (packed === undefined) return this.encodeNewPiece(piece, out);
      const start = packed >>> 8;
      const end = start + (packed & 0xff);
      for (let i = start; i < end; i++) out.push(this.cachedIds[i]!);
    });
  }

  private encodeNewPiece(piece: string, out: IdList): void {
    if (this.scratchBytes.length < 3 * piece.length) this.scratchBytes = new Uint8Array(6 * piece.length);
    const { written } = this.encoder.encodeInto(piece, this.scratchBytes);
    const bytes = this.scratchBytes.subarray(0, written);
    const count = this.encodePiece(bytes, out);
    if (piece.length > CACHED_LENGTH) return;
    if (this.cache.size === CACHED_PIECES || this.cachedCount + count > CACHE_IDS) {
      this.cache.clear();
      this.cachedCount = 0;
    }
    // A copy: a slice would keep the whole text that it was cut from.
    const key = this.copier.decode(bytes);
    if (key !== piece) return; // half a surrogate pair
    this.cachedIds.set(this.scratchIds.subarray(0, count), this.cachedCount);
    this.cache.set(key, this.cachedCount * 256 + count);
    this.cachedCount += count;
  }

  /** Puts the ids of a piece's bytes out; they stay in `scratchIds`. Gives their number. */
  private encodePiece(bytes: Uint8Array, out: IdList): number {
    const whole = this.wholePieces?.get(binaryString(bytes));
    let count = this.loadBytes(bytes);
    if (whole === undefined) count = this.merges.apply(this.scratchIds, count);
    else [this.scratchIds[0], count] = [whole, 1];
    for (let i = 0; i < count; i++) out.push(this.scratchIds[i]!);
    return count;
  }

  /** Puts the ids of single bytes into `scratchIds`. Gives their number. */
  private loadBytes(bytes: Uint8Array): number {
    if (this.scratchIds.length < bytes.length) this.scratchIds = new Int32Array(2 * bytes.length);
    let count = 0;
    for (const byte of bytes) {
      const id = this.byteIds[byte]! >= 0 ? this.byteIds[byte]! : this.settings.unknownId;
      if (id !== undefined) this.scratchIds[count++] = id;
    }
    return count;
  }
}

/** A growing row of ids. */
class IdList {
  private ids: Uint32Array;
  private count = 0;

  constructor(expected: number) {
    this.ids = new Uint32Array(Math.ceil(expected) + 16);
  }

  push(id: number): void {
    if (this.count === this.ids.length) {
      const longer = new Uint32Array(2 * this.count);
      longer.set(this.ids);
      this.ids = longer;
    }
    this.ids[this.count++] = id;
  }

  taken(): Uint32Array {
    return this.ids.slice(0, this.count);
  }
}
