/**
 * Errors that are a user's to mend: one clear line with a place and a remedy, no stack trace.
 * Anything else that is thrown is a fault of ours and keeps its stack.
 */

/** Where a user's slip stands and what to do about it. */
export interface UserErrorPlace {
  /** Path of the file that is wrong, as the user knows it. */
  file?: string;
  /** Line in that file, counted from 1. */
  line?: number;
  /** What to do: one sentence. */
  hint?: string;
  /** The error that led to this one. */
  cause?: unknown;
}

/**
 * A mistake in what the user gave: config, data, checkpoint, flag or environment.
 *
 * @example
 * ```ts
 * import { UserError } from "./errors.ts";
 * const error = new UserError("n_embd 130 is not divisible by n_head 4", {
 *   file: "configs/models/mine.yaml",
 *   line: 3,
 *   hint: "choose n_embd as a multiple of n_head",
 * });
 * console.log(error.describe());
 * ```
 */
export class UserError extends Error {
  /** The class's name, as errors carry it. */
  override name = "UserError";
  /** Path of the file that is wrong. */
  readonly file: string | undefined;
  /** Line in that file, counted from 1. */
  readonly line: number | undefined;
  /** What to do. */
  readonly hint: string | undefined;

  /**
   * Makes an error to be thrown.
   *
   * @param message what is wrong: one line, without its place
   * @param place where it stands and what to do
   */
  constructor(message: string, place: UserErrorPlace = {}) {
    super(message, place.cause === undefined ? undefined : { cause: place.cause });
    this.file = place.file;
    this.line = place.line;
    this.hint = place.hint;
  }

  /** The error as one line for a terminal: `file:line: message (hint)`. */
  describe(): string {
    const place = this.file === undefined
      ? ""
      : this.line === undefined
      ? `${this.file}: `
      : `${this.file}:${this.line}: `;
    return `${place}${this.message}${this.hint === undefined ? "" : ` (${this.hint})`}`;
  }

  /** The error as the object that `--json` prints. */
  toJSON(): { error: { message: string; file: string | null; line: number | null; hint: string | null } } {
    return {
      error: {
        message: this.message,
        file: this.file ?? null,
        line: this.line ?? null,
        hint: this.hint ?? null,
      },
    };
  }
}
