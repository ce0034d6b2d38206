/**
 * The worker that trains: the device makes its thread wait, so the main thread keeps signals, the run's files and the
 * display, and hears from here. Entry point of its own; `train_session.ts` starts it.
 */

import { type FromWorker, toPlainError, type ToWorker } from "./messages.ts";
import { type OpenTraining, openTraining } from "./open_training.ts";
import type { Recorder } from "./recorder.ts";

const post = (message: FromWorker) => self.postMessage(message);

let training: OpenTraining | undefined;
let stop = new Int32Array(1);
let flushed = () => {};
let profiled = false;

/** The run's recorder, which lives on the main thread. */
function remoteRecorder(dir: string): Recorder {
  return {
    dir,
    metrics: (line) => post({ type: "metrics", line }),
    sample: (line) => post({ type: "sample", line }),
    event: (line) => post({ type: "event", line }),
    finish: (status, summary) => post({ type: "finish", status, summary }),
    flush() {
      const done = new Promise<void>((resolve) => flushed = resolve);
      post({ type: "flush" });
      return done;
    },
  };
}

async function train(dir: string): Promise<void> {
  const trainer = await training!.start({
    recorder: remoteRecorder(dir),
    stop,
    onProgress: (progress) => post({ type: "progress", progress }),
    warn: (line) => post({ type: "warning", line }),
  });
  const result = await trainer.run();
  const profile = profiled ? { profile: await trainer.profile() } : {};
  post({ type: "done", result, ...profile });
}

async function answer(message: ToWorker): Promise<void> {
  switch (message.type) {
    case "open":
      stop = message.stop as Int32Array<ArrayBuffer>;
      profiled = message.job.profile === true;
      training = await openTraining(message.job, undefined, {
        note: (line) => post({ type: "note", line }),
        warn: (line) => post({ type: "warning", line }),
      });
      return post({ type: "opened", preview: training.preview });
    case "begin":
      return await train(message.dir);
    case "flushed":
      return flushed();
  }
}

self.onmessage = async (event: MessageEvent<ToWorker>) => {
  try {
    await answer(event.data);
  } catch (error) {
    post({ type: "failed", error: toPlainError(error) });
  }
};
