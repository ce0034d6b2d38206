/**
 * Ctrl-C as a person means it: the first asks to end in good order, the second ends at once. One press can arrive as
 * several signals, since the terminal sends it to every process of the command and `deno task` passes its own on to the
 * child; those within a moment of the first are the same press. SIGTERM counts as a press.
 */

/** Signals closer to the first than this are the same press; seen: up to 5 ms apart below two tasks and npx. */
const SAME_PRESS_MS = 300;

/**
 * Calls `first` at the first press and `second` at each one after it, until disposed.
 *
 * @example
 * ```ts
 * import { onInterrupt } from "./interrupt.ts";
 * {
 *   using _interrupts = onInterrupt(
 *     () => console.error("ending after this step; again to stop at once"),
 *     () => Deno.exit(130),
 *   );
 *   // … work …
 * }
 * ```
 */
export function onInterrupt(first: () => void, second: () => void): Disposable {
  let pressedAt: number | undefined;
  const listener = () => {
    const now = performance.now();
    if (pressedAt === undefined) {
      pressedAt = now;
      first();
    } else if (now - pressedAt > SAME_PRESS_MS) second();
  };
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, listener);
  return {
    [Symbol.dispose]() {
      for (const signal of signals) Deno.removeSignalListener(signal, listener);
    },
  };
}
