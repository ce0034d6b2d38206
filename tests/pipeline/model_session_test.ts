/** Sessions: step by step they give what `train` gives, bit for bit, and go on from what they saved. */

import assert from "assert";
import { join } from "path";
import { prepare } from "../../data/mod.ts";
import { checkpointSteps, loadModel } from "../../models/mod.ts";
import { generate, type ModelSession, openSession, type SessionOptions, UserError } from "../../mod.ts";
import { inFolder, measured, trainIn } from "./training_support.ts";

const STEPS = 20;

async function open(dir: string, options: SessionOptions = {}): Promise<ModelSession> {
  const data = await prepare(join(dir, "corpus.txt"), { processed_dir: join(dir, "processed") });
  const model = options.from === undefined ? { model: join(dir, "tiny.yaml") } : {};
  return await openSession({ ...model, data, warn: () => {}, ...options });
}

Deno.test("a session gives train's losses and weights bit for bit, however its steps are asked for", () =>
  inFolder(async (dir) => {
    const run = await trainIn(dir, { max_steps: STEPS });
    using session = await open(dir, { training: { max_steps: STEPS } });
    assert.equal(session.step, 0);
    await session.train(1);
    const before = await session.evaluate({ batches: 1 });
    await session.write("the ", { max_new_tokens: 3 });
    assert.equal((await session.train(12)).length, 12);
    assert.deepEqual(await session.train(0), []);
    const last = await session.train(7);
    assert.deepEqual(last.map(({ step }) => step), [14, 15, 16, 17, 18, 19, 20]);
    assert.equal(session.step, STEPS);

    const lines = (await measured(run.dir)).filter((line) => "train_loss" in line);
    assert.equal(lines.length, STEPS); // of every step
    lines.forEach((line, i) => {
      for (const [key, value] of Object.entries(session.metrics[i]!)) {
        assert.equal(line[key], value, `${key} of step ${i + 1}`);
      }
    });
    assert.deepEqual(await session.weights(), run.model.weights);
    const { val_loss, val_bits_per_byte } = await session.evaluate();
    assert.equal(val_loss, run.val_loss);
    assert.ok(val_loss < before.val_loss && val_bits_per_byte > 0);
  }));

Deno.test("a saved session goes on bit for bit, in another session, and generates as a run does", () =>
  inFolder(async (dir) => {
    const to = join(dir, "kept");
    using first = await open(dir, { training: { max_steps: 10, warmup_steps: 2, lr_schedule: "constant" } });
    await first.train(5);
    await first.save(to);
    await first.train(7);
    assert.equal(await first.save(to), to);
    assert.deepEqual(await checkpointSteps(to), [12]); // beyond the schedule, where the learning rate stays
    assert.deepEqual(first.metrics.slice(10).map(({ learning_rate }) => learning_rate), [3e-3, 3e-3]);

    using second = await open(dir, { from: to });
    assert.deepEqual([second.step, second.config.training.max_steps], [12, 10]);
    await second.train(3);
    await first.train(3);
    assert.deepEqual(second.metrics, first.metrics.slice(12));
    assert.deepEqual(await second.weights(), await first.weights());

    await second.train(1);
    await second.save(to);
    await first.save(to); // has done less and replaces it all the same
    assert.deepEqual(await checkpointSteps(to), [15]);
    const options = { prompt: "the ", max_new_tokens: 8, temperature: 0 };
    const text = (await Array.fromAsync(generate(to, options))).join("");
    assert.equal(text, await first.write("the ", options));
    assert.deepEqual((await loadModel(to)).weights, await first.weights());
  }));

Deno.test("a model is described by keys, and what cannot be is refused", () =>
  inFolder(async (dir) => {
    using session = await open(dir, { model: { n_layer: 1, n_head: 1, n_embd: 16, n_positions: 8 } });
    assert.deepEqual([session.model.n_layer, session.model.n_embd], [1, 16]);
    assert.ok(session.preview.parameters > 0);
    const rejects = (work: Promise<unknown>, message: RegExp) =>
      assert.rejects(work, (error) => error instanceof UserError && message.test(error.describe()));
    const { tokens, heads } = await session.attention("the ship");
    assert.deepEqual([tokens.join(""), tokens.length, heads.length], ["the ship", 8, 1]);
    await rejects(session.attention("the whale and"), /the text has 13 tokens.*1 to 8/);
    await rejects(session.attention(""), /the text has 0 tokens/);
    await rejects(session.attention("the", { layer: 1 }), /there is no layer 1.*0 to 0/);
    await rejects(session.train(-1), /expected a number of steps, got -1/);
    const busy = session.train(2);
    await rejects(session.evaluate(), /still at work.*await/);
    await busy;
    await rejects(open(dir, { model: { n_layr: 1 } }), /n_layr/);
    await rejects(open(dir, { model: { n_layer: 1 }, from: dir }), /cannot both be given/);
    await rejects(open(dir, { from: join(dir, "nowhere") }), /nowhere/);
    const run = await trainIn(dir, { max_steps: 2 }, { model: { n_layer: 1, n_head: 1, n_embd: 16 } });
    assert.deepEqual([run.model.config.n_layer, run.model.config.n_positions], [1, 64]); // keys do for `train` too
    await rejects(session.save(run.dir), /is the folder of a run.*choose another/);
    await Deno.writeTextFile(join(dir, "file"), "");
    await rejects(session.save(join(dir, "file")), /file stands where a folder should be/);
  }));

Deno.test("a loss that is not finite names step and tensor, and the session trains no more", () =>
  inFolder(async (dir) => {
    using session = await open(dir, { training: { learning_rate: 1e30, warmup_steps: 0 } });
    const fails = (work: Promise<unknown>) =>
      assert.rejects(work, (error) => {
        assert.ok(error instanceof UserError);
        assert.match(
          error.message,
          /^step \d+: .*(NaN|Infinity); first seen in the (parameter|gradient of) \S+/,
        );
        return true;
      });
    await fails(session.train(20));
    await fails(session.train(1));
    assert.ok(session.metrics.length === session.step);
  }));
