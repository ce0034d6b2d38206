/** The worker of `pool.ts`: gets a task first, then pieces, and answers each with what the task makes of it;
 * or gets words, and answers with the BPE that it trains on them. */

import type { Piece } from "./pieces.ts";
import { trainBpe } from "../tokenizers/train_bpe.ts";
import { type Results, type Tasks, type Training, workOf } from "./work.ts";

let work: ((piece: Piece) => Results[keyof Results]) | undefined;

self.onmessage = ({ data }: MessageEvent<Tasks[keyof Tasks] | Training | Piece>) => {
  if ("kind" in data) {
    work = workOf(data);
    return;
  }
  if ("words" in data) return self.postMessage(trainBpe(data.words, data.options));
  const result = work!(data);
  self.postMessage(result, "ids" in result ? [result.ids.buffer] : []);
};
