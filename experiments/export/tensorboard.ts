/**
 * A run as a TensorBoard event file: its metrics as scalars and its samples as texts.
 *
 * The file is a row of TFRecords, each the length (8 bytes, little-endian), that length's masked CRC-32C, the data and its
 * masked CRC-32C (tensorflow.org/tutorials/load_data/tfrecord), and the data `Event` messages (tensorboard/compat/proto:
 * event.proto, summary.proto, tensor.proto).
 */

import { join } from "path";
import { type JsonlRecord, writeFileAtomic } from "../../common/mod.ts";
import type { RunEntry } from "../reading/run_entry.ts";
import { readLines } from "../reading/run_lines.ts";
import { metricsOf } from "../tracker/metric_summary.ts";
import { crc32c } from "./crc32c.ts";
import { concat, Message } from "./protobuf.ts";

/**
 * Writes a run's event file into `<logDir>/<run id>/`, in place of the one that was written before, and returns its path.
 * Throws `UserError` if it cannot be written.
 */
export async function writeTensorBoard(run: RunEntry, logDir: string): Promise<string> {
  const seconds = Math.floor(timeOf(run.created, 0));
  const file = join(logDir, run.id, `events.out.tfevents.${String(seconds).padStart(10, "0")}.chatgot`);
  await writeFileAtomic(file, tensorBoardEvents(run));
  return file;
}

/** The bytes of a run's event file. */
export function tensorBoardEvents(run: RunEntry): Uint8Array {
  const start = timeOf(run.created, 0);
  const events = [
    new Message().double(1, start).bytes(3, "brain.Event:2"), // the version stands in the first event
    ...readLines(run, "metrics").map((line) => event(line, start, scalars(line))),
    ...readLines(run, "samples").map((line, i) => event(line, start, [sample(line, i === 0)])),
  ];
  return concat(events.map((event) => record(event.encoded())));
}

/** `Event`: wall_time = 1, step = 2, summary = 5; `Summary`: value = 1. */
function event(line: JsonlRecord, start: number, values: Message[]): Message {
  const step = typeof line.step === "number" ? line.step : 0;
  const summary = new Message();
  for (const value of values) summary.bytes(1, value);
  return new Message().double(1, timeOf(line.time, start)).integer(2, step).bytes(5, summary);
}

/** `Summary.Value`: tag = 1, simple_value = 2. What was not finite is NaN, which TensorBoard marks. */
function scalars(line: JsonlRecord): Message[] {
  return metricsOf(line).map(([name, value]) => new Message().bytes(1, name).float(2, value ?? NaN));
}

/** TensorBoard's number for a tensor of texts. */
const DT_STRING = 7;

/**
 * A text for the plugin of that name. `Summary.Value`: tensor = 8, metadata = 9 (needed once a tag); `TensorProto`:
 * dtype = 1, tensor_shape = 2, string_val = 8; `SummaryMetadata`: plugin_data = 1, data_class = 4.
 */
function sample({ prompt, text }: JsonlRecord, isFirst: boolean): Message {
  const tensor = new Message()
    .integer(1, DT_STRING)
    .bytes(2, new Message())
    .bytes(8, `${typeof prompt === "string" ? prompt : ""}${typeof text === "string" ? text : ""}`);
  const value = new Message().bytes(1, "sample").bytes(8, tensor);
  const DATA_CLASS_TENSOR = 2;
  const plugin = new Message().bytes(1, "text");
  return isFirst ? value.bytes(9, new Message().bytes(1, plugin).integer(4, DATA_CLASS_TENSOR)) : value;
}

/** A TFRecord. */
function record(data: Uint8Array): Uint8Array {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(data.length), true);
  return concat([length, masked(length), data, masked(data)]);
}

/** The checksum, turned and moved so that one of a file that holds checksums still means something. */
function masked(bytes: Uint8Array): Uint8Array {
  const crc = crc32c(bytes);
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, ((crc >>> 15 | crc << 17) + 0xa282ead8) >>> 0, true);
  return out;
}

/** A time in seconds since 1970. */
function timeOf(time: unknown, otherwise: number): number {
  const milliseconds = typeof time === "string" ? Date.parse(time) : NaN;
  return Number.isFinite(milliseconds) ? milliseconds / 1000 : otherwise;
}
