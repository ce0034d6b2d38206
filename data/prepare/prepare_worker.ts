/** The worker of `pool.ts`: gets a task first, then pieces, and answers each with what the task makes of it. */

import type { Piece } from "./pieces.ts";
import { type Results, type Tasks, workOf } from "./work.ts";

let work: ((piece: Piece) => Results[keyof Results]) | undefined;

self.onmessage = ({ data }: MessageEvent<Tasks[keyof Tasks] | Piece>) => {
  if ("kind" in data) {
    work = workOf(data);
    return;
  }
  const result = work!(data);
  self.postMessage(result, "ids" in result ? [result.ids.buffer] : []);
};
