/** The text of a corpus, cleaned and cut into pieces, as often as it is asked for. */

import type { DataConfig } from "../config.ts";
import { documents, type Fragment } from "../read/documents.ts";
import { clean, type Dropped } from "./clean.ts";
import { type Piece, pieces } from "./pieces.ts";

/** How far a stage is. */
export interface Progressed {
  /** look: find out whether anything changed; vocabulary: count; encode: cut into tokens. */
  stage: "look" | "vocabulary" | "encode";
  /** Bytes of the corpus that the stage has read. */
  done: number;
  /** Bytes of the corpus. */
  total: number;
}

/** How to go through the text. */
export interface Passage {
  /** What stands between two documents; null for a token. */
  separator: string | null;
  /** Told how many bytes of files were read since it was last told. */
  onRead: (bytes: number) => void;
  /** Counts what is left out. @default nobody */
  dropped?: Dropped;
  /** Shown every part of a document. @default nobody */
  onFragment?: (fragment: Fragment) => void;
}

/** A corpus as text. */
export class TextStream {
  /** @param folder where the cleaning may keep indices while it runs; they are removed */
  constructor(
    private readonly files: readonly (string | URL)[],
    private readonly config: DataConfig,
    private readonly folder: string,
  ) {}

  /** Goes through all of the text. */
  async *pieces({ separator, onRead, dropped, onFragment }: Passage): AsyncGenerator<Piece> {
    const indices = await Deno.makeTempDir({ dir: this.folder });
    try {
      const raw = this.documents(onRead);
      const cleaned = clean(raw, this.config, indices, dropped ?? { repeated_lines: 0, near_duplicates: 0 });
      yield* pieces(onFragment === undefined ? cleaned : shown(cleaned, onFragment), separator);
    } finally {
      await Deno.remove(indices, { recursive: true });
    }
  }

  private async *documents(onRead: (bytes: number) => void): AsyncGenerator<Fragment> {
    for (const file of this.files) yield* documents(file, { text_field: this.config.text_field, onRead });
  }
}

async function* shown(
  fragments: AsyncIterable<Fragment>,
  onFragment: (fragment: Fragment) => void,
): AsyncGenerator<Fragment> {
  for await (const fragment of fragments) {
    onFragment(fragment);
    yield fragment;
  }
}
