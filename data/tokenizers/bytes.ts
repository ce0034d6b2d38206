/**
 * Bytes as tokenizers of Hugging Face's form write them: each byte one printable character, so that a vocabulary can be
 * JSON. Printable bytes of Latin-1 stand for themselves and the rest for U+0100 and on, as GPT-2's encoder has it.
 */

/** Byte values in the order of GPT-2's first 256 ids: the printable ones, then the rest. */
export const BYTE_ORDER: Uint8Array = byteOrder();

function byteOrder(): Uint8Array {
  const isPrintable = (byte: number) =>
    byte >= 0x21 && byte <= 0x7e || byte >= 0xa1 && byte <= 0xac || byte >= 0xae;
  const all = Array.from({ length: 256 }, (_, byte) => byte);
  return Uint8Array.from([...all.filter(isPrintable), ...all.filter((byte) => !isPrintable(byte))]);
}

const PRINTABLE_COUNT = 188;

/** The character that each byte is written as. */
const CHARACTERS: string[] = [];
BYTE_ORDER.forEach((byte, i) =>
  CHARACTERS[byte] = String.fromCharCode(i < PRINTABLE_COUNT ? byte : 0x100 + i - PRINTABLE_COUNT)
);

/** How each of the first 256 ids is written, in GPT-2's order. */
export const BYTE_NAMES: readonly string[] = Array.from(BYTE_ORDER, (byte) => CHARACTERS[byte]!);

const BYTES = new Map(CHARACTERS.map((character, byte) => [character, byte]));

/** Bytes written as characters: `" the"` is `"Ġthe"`. */
export function bytesToCharacters(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += CHARACTERS[byte];
  return text;
}

/** The bytes that characters stand for, or undefined if one of them stands for none. */
export function charactersToBytes(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const byte = BYTES.get(text[i]!);
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}

/** Bytes as a string with a character of code 0 to 255 for each: a small key and a small thing to keep. */
export function binaryString(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/**
 * Cuts bytes into runs that are UTF-8 and runs that are not, by the table of well-formed sequences of the Unicode
 * standard (3-7).
 */
export function* utf8Runs(bytes: Uint8Array): Generator<{ bytes: Uint8Array; valid: boolean }> {
  let start = 0;
  let valid = true;
  for (let i = 0; i < bytes.length;) {
    const length = sequenceLength(bytes, i);
    if (length > 0 !== valid) {
      if (i > start) yield { bytes: bytes.subarray(start, i), valid };
      [start, valid] = [i, !valid];
    }
    i += length || 1;
  }
  if (bytes.length > start) yield { bytes: bytes.subarray(start), valid };
}

/** Bytes of the well-formed character that begins here; 0 if none does. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]!;
  if (lead < 0x80) return 1;
  const length = lead >= 0xc2 && lead <= 0xdf
    ? 2
    : lead >= 0xe0 && lead <= 0xef
    ? 3
    : lead >= 0xf0 && lead <= 0xf4
    ? 4
    : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  const second = bytes[at + 1]!;
  const least = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const most = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < least || second > most) return 0;
  for (let i = 2; i < length; i++) if ((bytes[at + i]! & 0xc0) !== 0x80) return 0;
  return length;
}
