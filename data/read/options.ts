/** How documents are read, and what to say where their text is not found. */

import { didYouMean } from "../../common/mod.ts";

/** How documents are read. */
export interface ReadOptions {
  /** The key or column that holds the text. */
  text_field: string;
  /** Told how many bytes of files were read since it was last told. */
  onRead?: (bytes: number) => void;
}

/** What to do where a field was not found among those that there are. */
export function fieldHint(field: string, there: readonly string[]): string {
  const near = didYouMean(field, there);
  const question = near === undefined ? "" : `did you mean "${near}"? `;
  return `${question}set data.text_field to one of: ${there.join(", ")}`;
}
