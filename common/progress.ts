/**
 * Progress of long work. A terminal gets one line that is written again and again; a log file gets a plain line
 * every so often. Goes to standard error, so that standard output stays for results.
 */

import { humanCount, humanDuration } from "./format.ts";

/** What a progress line needs to know. */
export interface ProgressOptions {
  /** What is being done, at the line's start. */
  label: string;
  /** How many units there are in all. */
  total: number;
  /** Name of a unit, for the rate: `step` gives `12 step/s`. @default "step" */
  unit?: string;
  /** Units that were done before this began (a resumed run); they do not count for the rate. @default 0 */
  start?: number;
  /** Whether lines can be rewritten. @default whether standard error is a terminal */
  isTerminal?: boolean;
  /** Where text goes. @default standard error */
  write?: (text: string) => void;
  /** The time now in milliseconds; for tests. @default performance.now */
  now?: () => number;
  /** Nothing is printed but notes. @default false */
  quiet?: boolean;
}

const TERMINAL_INTERVAL_MS = 100;
const LOG_INTERVAL_MS = 10_000;
const BAR_WIDTH = 20;

/**
 * A progress line: call `update` as often as you like (it prints at most ten times a second on a terminal, every
 * ten seconds in a log), `note` for lines that stay, `done` at the end.
 *
 * @example
 * ```ts
 * import { Progress } from "./progress.ts";
 * const progress = new Progress({ label: "train", total: 3 });
 * for (let step = 1; step <= 3; step++) progress.update(step, "loss 4.1");
 * progress.done();
 * ```
 */
export class Progress {
  private readonly options: Required<ProgressOptions>;
  private readonly startedAt: number;
  private printedAt = -Infinity;
  private count: number;
  private extra = "";
  private shown = "";
  private lastPrinted = "";

  constructor(options: ProgressOptions) {
    this.options = {
      unit: "step",
      start: 0,
      isTerminal: Deno.stderr.isTerminal(),
      write: writeToStderr,
      now: () => performance.now(),
      quiet: false,
      ...options,
    };
    this.startedAt = this.options.now();
    this.count = this.options.start;
  }

  /** Says how many units are done now (not how many more), with a text for the line's end such as the loss. */
  update(count: number, extra: string = this.extra): void {
    this.count = count;
    this.extra = extra;
    const interval = this.options.isTerminal ? TERMINAL_INTERVAL_MS : LOG_INTERVAL_MS;
    if (this.options.now() - this.printedAt >= interval) this.print();
  }

  /** Prints a line that stays, above the progress line. */
  note(line: string): void {
    this.clear();
    this.options.write(line + "\n");
    if (this.options.isTerminal && this.printedAt > -Infinity) this.print();
  }

  /** Prints the last state and ends the line; call once. */
  done(): void {
    this.print();
    if (this.options.isTerminal && this.shown !== "") this.options.write("\n");
    this.shown = "";
  }

  /** The line as it would be printed now. */
  line(): string {
    const { label, total, unit, start } = this.options;
    const seconds = (this.options.now() - this.startedAt) / 1000;
    const rate = (this.count - start) / seconds;
    const fraction = total > 0 ? Math.min(1, this.count / total) : 1;
    const parts = [`${this.count}/${total}`, `${Math.floor(fraction * 100)}%`];
    if (this.count > start && seconds > 0) {
      parts.push(`${rate < 100 ? rate.toPrecision(3) : humanCount(rate)} ${unit}/s`);
      parts.push(
        this.count < total ? `${humanDuration((total - this.count) / rate)} left` : humanDuration(seconds),
      );
    }
    if (this.extra !== "") parts.push(this.extra);
    const filled = Math.floor(fraction * BAR_WIDTH);
    const bar = this.options.isTerminal ? ` [${"#".repeat(filled)}${".".repeat(BAR_WIDTH - filled)}]` : "";
    return `${label}${bar} ${parts.join("  ")}`;
  }

  private print(): void {
    this.printedAt = this.options.now();
    if (this.options.quiet) return;
    const line = this.line();
    if (this.options.isTerminal) {
      this.clear();
      this.shown = fit(line);
      this.options.write(this.shown);
    } else if (line !== this.lastPrinted) {
      this.options.write(line + "\n");
    }
    this.lastPrinted = line;
  }

  /** Takes the rewritten line off the terminal: back to its start, then ANSI "erase to end of line". */
  private clear(): void {
    if (this.options.isTerminal && this.shown !== "") this.options.write("\r\x1b[K");
    this.shown = "";
  }
}

function writeToStderr(text: string): void {
  Deno.stderr.writeSync(new TextEncoder().encode(text));
}

/** Cuts a line to the terminal's width: a longer one would wrap and could not be rewritten. */
function fit(line: string): string {
  try {
    return line.slice(0, Math.max(20, (Deno.consoleSize().columns || 80) - 1));
  } catch {
    return line; // standard output and error are no terminal of a known size
  }
}
