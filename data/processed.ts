/**
 * A prepared dataset on disk: a folder with `tokens.bin` (token ids one after the other, little-endian, uint16
 * if the vocabulary fits and uint32 if not), `header.json` and `stats.json`. Any tool can read them; numpy:
 * `numpy.fromfile("tokens.bin", "<u2")`. Written whole or not at all, checked against its digest when opened.
 */

import * as nodePath from "path";
import { displayPath, fileError, readJson, sha256, sha256File, UserError, validate } from "../common/mod.ts";
import { Dataset, type WindowOptions } from "./dataset.ts";
import { FileTokens, type TokenArray } from "./file_tokens.ts";
import { DatasetHeader } from "./header.ts";
import { tokenizerFromJSON } from "./tokenizers/load.ts";

/** Names of a dataset's files; `tokenizer` is there for a byte-level BPE that was trained or read from a file. */
export const DATASET_FILES = {
  tokens: "tokens.bin",
  header: "header.json",
  stats: "stats.json",
  tokenizer: "tokenizer.json",
} as const;

/** Token ids of up to so many bytes are held in memory; more stay on disk. */
const HELD_BYTES = 64 << 20;

/** How to open a dataset. */
export interface OpenOptions extends WindowOptions {
  /** Token ids of up to so many bytes are held in memory. @default 67108864 */
  held_bytes?: number;
}

/** SHA-256 of token ids as they are on disk. Every system that Deno runs on is little-endian. */
export function tokensDigest(tokens: TokenArray): string {
  return sha256(new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength));
}

/**
 * Opens a prepared dataset. Throws `UserError` if its folder is not there, of another version, cut short or
 * changed.
 */
export async function openDataset(folder: string, options: OpenOptions = {}): Promise<Dataset> {
  const { held_bytes = HELD_BYTES, ...windows } = options;
  const headerPath = nodePath.join(folder, DATASET_FILES.header);
  const header = validate(DatasetHeader, await readJson(headerPath), { file: displayPath(headerPath) });
  const tokenizer = tokenizerFromJSON(header.tokenizer, displayPath(headerPath));
  const path = nodePath.join(folder, DATASET_FILES.tokens);
  const damaged = (message: string) =>
    new UserError(message, {
      file: displayPath(path),
      hint: `remove the folder ${displayPath(folder)} and prepare the dataset again`,
    });
  const size = header.counts.tokens * (header.dtype === "uint16" ? 2 : 4);
  const { train, val } = header.splits;
  try {
    const bytes = (await Deno.stat(path)).size;
    if (bytes !== size) throw damaged(`has ${bytes} bytes, its header says ${size}`);
    if (size > held_bytes) {
      if (await sha256File(path) !== header.tokens_digest) {
        throw damaged("is damaged: its digest is not the header's");
      }
      const part = ({ start, end }: { start: number; end: number }) =>
        new FileTokens(path, header.dtype, start, end - start);
      return new Dataset({ train: part(train), val: part(val) }, tokenizer, header, folder, windows);
    }
    const content = await Deno.readFile(path);
    if (sha256(content) !== header.tokens_digest) throw damaged("is damaged: its digest is not the header's");
    const tokens = header.dtype === "uint16"
      ? new Uint16Array(content.buffer)
      : new Uint32Array(content.buffer);
    return new Dataset(tokens, tokenizer, header, folder, windows);
  } catch (error) {
    throw fileError(error, path);
  }
}
