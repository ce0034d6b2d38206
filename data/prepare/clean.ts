/**
 * What is done to documents before they are cut into tokens: line ends, repeated lines, lower case, special characters,
 * white space at the end, near duplicates. Documents that are then empty are left out.
 */

import type { Fragment } from "../read/documents.ts";
import { NearDuplicates } from "./near_duplicates.ts";
import { RepeatedLines } from "./repeated_lines.ts";

/** What is done. The keys are those of the config's section `data`. */
export interface CleanOptions {
  lowercase: boolean;
  remove_special_chars: boolean;
  repeated_line_min_chars: number | null;
  near_duplicate_threshold: number | null;
}

/** How much was left out. */
export interface Dropped {
  repeated_lines: number;
  near_duplicates: number;
}

/** Documents of more UTF-16 code units are not compared with others: they would have to fit into memory. */
const LONGEST_COMPARED = 1 << 24;

/** Neither letters, marks, numbers and white space nor the punctuation of plain prose. */
const SPECIAL = /[^\p{L}\p{M}\p{N}\p{White_Space}.,;:!?'"()\-]/gu;

/**
 * Documents as they go into the dataset.
 *
 * @param folder where indices of what was seen are kept while this runs
 * @param dropped counts what is left out
 */
export async function* clean(
  fragments: AsyncIterable<Fragment>,
  options: CleanOptions,
  folder: string,
  dropped: Dropped,
): AsyncGenerator<Fragment> {
  const { repeated_line_min_chars, near_duplicate_threshold } = options;
  using lines = repeated_line_min_chars === null
    ? undefined
    : new RepeatedLines(folder, repeated_line_min_chars);
  using near = near_duplicate_threshold === null
    ? undefined
    : new NearDuplicates(folder, near_duplicate_threshold);
  const tidied = tidy(fragments, options, lines, dropped);
  yield* near === undefined ? tidied : withoutNearDuplicates(tidied, near, dropped);
}

async function* tidy(
  fragments: AsyncIterable<Fragment>,
  { lowercase, remove_special_chars }: CleanOptions,
  lines: RepeatedLines | undefined,
  dropped: Dropped,
): AsyncGenerator<Fragment> {
  let begun = false; // whether the document has any text yet
  let space = ""; //    white space that is dropped if the document ends with it
  for await (const fragment of fragments) {
    let text = fragment.text.replaceAll("\r\n", "\n");
    if (lines !== undefined) {
      const kept = lines.drop(text);
      dropped.repeated_lines += kept.dropped;
      text = kept.text;
    }
    if (lowercase) text = text.toLowerCase();
    if (remove_special_chars) text = text.replace(SPECIAL, "");
    const body = text.trimEnd();
    if (body === "") space += text;
    else {
      yield { text: space + body, ends: false };
      space = text.slice(body.length);
      begun = true;
    }
    if (!fragment.ends) continue;
    if (begun) yield { text: "", ends: true };
    begun = false;
    space = "";
  }
}

/** Whole documents, those left out that are like an earlier one. */
async function* withoutNearDuplicates(
  fragments: AsyncIterable<Fragment>,
  near: NearDuplicates,
  dropped: Dropped,
): AsyncGenerator<Fragment> {
  let text = "";
  let isLong = false;
  for await (const fragment of fragments) {
    text += fragment.text;
    isLong ||= text.length > LONGEST_COMPARED;
    if (!fragment.ends && !isLong) continue;
    if (isLong || !near.seen(text)) yield { text, ends: fragment.ends };
    else dropped.near_duplicates++;
    text = "";
    if (fragment.ends) isLong = false;
  }
}
