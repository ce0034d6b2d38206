/** CSV, and TensorBoard's event files: decoded by protobufjs from the published schema, checksums by a package of their own. */

import { crc32c as independentCrc32c } from "@aws-crypto/crc32c";
import assert from "assert";
import fc from "fast-check";
import { join } from "path";
import protobuf from "protobufjs";
import { metricsCsv } from "../../experiments/export/csv.ts";
import { crc32c } from "../../experiments/export/crc32c.ts";
import { tensorBoardEvents, writeTensorBoard } from "../../experiments/export/tensorboard.ts";
import { listRuns, readLines, type RunEntry, startRun } from "../../experiments/mod.ts";

/** What we write of TensorBoard's event.proto, summary.proto, tensor.proto and tensor_shape.proto. */
const PROTO = `
  syntax = "proto3";
  package tensorboard;
  message Event { double wall_time = 1; int64 step = 2; oneof what { string file_version = 3; Summary summary = 5; } }
  message Summary {
    message Value {
      string tag = 1;
      SummaryMetadata metadata = 9;
      oneof value { float simple_value = 2; TensorProto tensor = 8; }
    }
    repeated Value value = 1;
  }
  message SummaryMetadata {
    message PluginData { string plugin_name = 1; bytes content = 2; }
    PluginData plugin_data = 1;
    int32 data_class = 4;
  }
  message TensorProto { int32 dtype = 1; TensorShapeProto tensor_shape = 2; repeated bytes string_val = 8; }
  message TensorShapeProto { bool unknown_rank = 3; }`;

interface Event {
  wall_time: number;
  step?: number;
  file_version?: string;
  summary?: {
    value: {
      tag: string;
      simple_value?: number;
      tensor?: { dtype: number; string_val: Uint8Array[] };
      metadata?: { plugin_data: { plugin_name: string } };
    }[];
  };
}

/** Takes an event file apart and checks every checksum. */
function decoded(bytes: Uint8Array): Event[] {
  const type = protobuf.parse(PROTO, { keepCase: true }).root.lookupType("tensorboard.Event");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const events: Event[] = [];
  const checked = (at: number, length: number) => {
    const part = bytes.subarray(at, at + length);
    const crc = independentCrc32c(part);
    const mask = ((((crc >>> 15) | (crc << 17)) >>> 0) + 0xa282ead8) % 2 ** 32;
    assert.equal(view.getUint32(at + length, true), mask);
    return part;
  };
  for (let at = 0; at < bytes.length;) {
    checked(at, 8);
    const length = Number(view.getBigUint64(at, true));
    const message = type.decode(checked(at + 12, length));
    events.push(type.toObject(message, { longs: Number }) as unknown as Event);
    at += 12 + length + 4;
  }
  return events;
}

/** A run with a bit of everything, in a folder of its own. */
async function withRun(test: (run: RunEntry, dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    const run = await startRun({ name: "all", runs_dir: join(dir, "runs") });
    run.log({ step: 1, tokens: 768, loss: 4.25, 'a,b"c': 1 });
    run.log({ step: 2, tokens: 1536, loss: NaN });
    run.log({ step: 3_000_000_000, loss: 2.5, val_loss: 1e-9 });
    run.sample({ step: 3, prompt: "Call me ", text: "Ishmael 🐳\n<script>" });
    run.sample({ step: 4, text: "again" });
    run.finish();
    await test((await listRuns(join(dir, "runs")))[0]!, dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("crc32c() agrees with a package", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => crc32c(bytes) === independentCrc32c(bytes)),
  );
});

Deno.test("an event file holds the version, every scalar with step and time, and samples as texts", () =>
  withRun(async (run, dir) => {
    const file = await writeTensorBoard(run, join(dir, "tb"));
    assert.match(file, /\/tb\/all_\d+_\d+\/events\.out\.tfevents\.\d{10}\.chatgot$/);
    const [first, ...events] = decoded(await Deno.readFile(file));
    assert.equal(first!.file_version, "brain.Event:2");
    const lines = readLines(run, "metrics");
    const scalars = events.slice(0, 3).map(({ step, wall_time, summary }) => ({
      step,
      time: new Date(Math.round(wall_time * 1000)).toISOString(),
      ...Object.fromEntries(summary!.value.map(({ tag, simple_value }) => [tag, simple_value])),
    }));
    assert.deepEqual(
      scalars,
      lines.map(({ tokens: _tokens, step, time, ...metrics }) => ({
        step,
        time,
        ...Object.fromEntries(
          Object.entries(metrics).map(([n, v]) => [n, Math.fround(v === null ? NaN : v as number)]),
        ),
      })),
    );
    const samples = events.slice(3).map(({ step, summary }) => ({ step, value: summary!.value[0]! }));
    assert.deepEqual(
      samples.map((
        { step, value },
      ) => [step, value.tag, value.tensor!.dtype, new TextDecoder().decode(value.tensor!.string_val[0])]),
      [[3, "sample", 7, "Call me Ishmael 🐳\n<script>"], [4, "sample", 7, "again"]],
    );
    assert.equal(samples[0]!.value.metadata!.plugin_data.plugin_name, "text");
  }));

Deno.test("steps below zero and odd ones are written as protobuf writes them", () =>
  withRun(async (run) => {
    await Deno.writeTextFile(
      join(run.dir, "metrics.jsonl"),
      '{"step":-5,"x":1}\n{"x":2}\n{"step":2.6,"x":3}\n{"step":9007199254740991,"x":3}\n',
    );
    const steps = decoded(tensorBoardEvents(run)).slice(1, 5).map(({ step }) => step ?? 0);
    assert.deepEqual(steps, [-5, 0, 3, 9007199254740991]);
  }));

/** TensorBoard's own reader, where Python has it. */
const READER = `
import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1]); events.Reload()
print([(s.step, s.value) for s in events.Scalars("val_loss")], events.Tensors("sample")[0].tensor_proto.string_val[0].decode())`;

function hasTensorBoard(): boolean {
  try {
    return new Deno.Command("python3", { args: ["-c", "import tensorboard"], stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}

// Debian has no package of it, so this is a test only where somebody has installed it.
if (hasTensorBoard()) {
  Deno.test("TensorBoard itself reads the same", () =>
    withRun(async (run, dir) => {
      const file = await writeTensorBoard(run, join(dir, "tb"));
      const { stdout } = await new Deno.Command("python3", { args: ["-c", READER, file] }).output();
      assert.equal(
        new TextDecoder().decode(stdout),
        "[(3000000000, 9.999999717180685e-10)] Call me Ishmael 🐳\n<script>\n",
      );
    }));
}

/** A plain reader of RFC 4180. */
function parseCsv(text: string): string[][] {
  const rows = [...text.matchAll(/((?:"(?:[^"]|"")*"|[^",\r\n]*)(?:,(?:"(?:[^"]|"")*"|[^",\r\n]*))*)\r\n/g)];
  return rows.map(([, row]) =>
    [...(row! + ",").matchAll(/("(?:[^"]|"")*"|[^",]*),/g)].map(([, cell]) =>
      cell!.startsWith('"') ? cell!.slice(1, -1).replaceAll('""', '"') : cell!
    )
  );
}

Deno.test("CSV has a line a measurement, empty cells for what is not there, and quotes where they are needed", () =>
  withRun(async (run) => {
    const [header, ...rows] = parseCsv([...metricsCsv([run])].join(""));
    assert.deepEqual(header, ["run", "step", "time", "tokens", "loss", 'a,b"c', "val_loss"]);
    const times = readLines(run, "metrics").map(({ time }) => String(time));
    assert.deepEqual(rows, [
      [run.id, "1", times[0], "768", "4.25", "1", ""],
      [run.id, "2", times[1], "1536", "", "", ""],
      [run.id, "3000000000", times[2], "", "2.5", "", "1e-9"],
    ]);
    await Deno.remove(join(run.dir, "metrics.jsonl"));
    assert.equal(parseCsv([...metricsCsv([run])].join("")).length, 1);
  }));
