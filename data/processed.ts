/**
 * A prepared dataset on disk: a folder with `tokens.bin` (token ids one after the other, little-endian, uint16
 * if the vocabulary fits and uint32 if not) and `header.json` (all else). Any tool can read both; numpy:
 * `numpy.fromfile("tokens.bin", "<u2")`. Written whole or not at all, checked against its digest when read.
 */

import * as nodePath from "path";
import {
  displayPath,
  fileError,
  readJson,
  sha256,
  UserError,
  validate,
  writeFileSynced,
  writeFolderAtomic,
} from "../common/mod.ts";
import { Dataset, type TokenArray } from "./dataset.ts";
import { DatasetHeader } from "./header.ts";
import { tokenizerFromJSON } from "./tokenizers/load.ts";

/** SHA-256 of token ids as they are on disk. Every system that Deno runs on is little-endian. */
export function tokensDigest(tokens: TokenArray): string {
  return sha256(bytesOf(tokens));
}

/** Writes a dataset's folder, in place of one that is there. Throws `UserError` for a full disk and the like. */
export async function writeDataset(folder: string, header: DatasetHeader, tokens: TokenArray): Promise<void> {
  await writeFolderAtomic(folder, async (temporary) => {
    await writeFileSynced(nodePath.join(temporary, "tokens.bin"), bytesOf(tokens));
    await writeFileSynced(nodePath.join(temporary, "header.json"), JSON.stringify(header, null, 2) + "\n");
  });
}

/**
 * Reads a prepared dataset. Throws `UserError` if its folder is not there, of another version, cut short or
 * changed.
 */
export async function openDataset(folder: string): Promise<Dataset> {
  const headerPath = nodePath.join(folder, "header.json");
  const header = validate(DatasetHeader, await readJson(headerPath), { file: displayPath(headerPath) });
  const tokenizer = tokenizerFromJSON(header.tokenizer, displayPath(headerPath));
  const tokensPath = nodePath.join(folder, "tokens.bin");
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await Deno.readFile(tokensPath);
  } catch (error) {
    throw fileError(error, tokensPath);
  }
  const size = header.counts.tokens * (header.dtype === "uint16" ? 2 : 4);
  const damaged = (message: string) =>
    new UserError(message, {
      file: displayPath(tokensPath),
      hint: `remove the folder ${displayPath(folder)} and prepare the dataset again`,
    });
  if (bytes.length !== size) throw damaged(`has ${bytes.length} bytes, its header says ${size}`);
  if (sha256(bytes) !== header.tokens_digest) throw damaged("is damaged: its digest is not the header's");
  const tokens = header.dtype === "uint16" ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
  return new Dataset(tokens, tokenizer, header, folder);
}

function bytesOf(tokens: TokenArray): Uint8Array {
  return new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
}
