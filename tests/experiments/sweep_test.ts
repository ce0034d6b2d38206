/** Which combinations a sweep tries, and who goes on in a halving. */

import assert from "assert";
import { experimentSchema, type Sweep } from "../../experiments/runner/experiment_config.ts";
import { type HalvingOptions, type Move, nextMove, rungSteps } from "../../experiments/runner/halving.ts";
import { pointLabel, sweepPoints } from "../../experiments/runner/sweep.ts";

function sweep(keys: Record<string, unknown>): Sweep {
  return experimentSchema.parse({ name: "x", models: [{ name: "m", config: "c" }], sweep: keys }).sweep!;
}

Deno.test("a grid is every combination, the last key fastest", () => {
  const points = sweepPoints(sweep({ parameters: { a: [1, 2], b: ["x", "y", "z"] } }));
  assert.equal(points.length, 6);
  assert.deepEqual(points.slice(0, 4).map((point) => `${point.a}${point.b}`), ["1x", "1y", "1z", "2x"]);
});

Deno.test("random combinations depend on the seed alone, lie in their ranges and do not repeat", () => {
  const parameters = {
    "training.learning_rate": { min: 1e-4, max: 1e-1, scale: "log" },
    "training.batch_size": { min: 4, max: 8, integer: true },
    "model.n_layer": [1, 2],
  };
  const draw = (seed: number, trials = 200) =>
    sweepPoints(sweep({ method: "random", parameters, trials, seed }));
  assert.deepEqual(draw(1), draw(1));
  assert.notDeepEqual(draw(1), draw(2));
  assert.deepEqual(draw(1, 50), draw(1).slice(0, 50));
  const rates = draw(1).map((point) => point["training.learning_rate"] as number);
  assert.ok(rates.every((rate) => rate >= 1e-4 && rate <= 1e-1));
  // On a log scale each decade gets a third of the draws: 200/3 = 67, with a standard deviation of 7.
  const decade = (low: number) => rates.filter((rate) => rate >= low && rate < 10 * low).length;
  for (const low of [1e-4, 1e-3, 1e-2]) assert.ok(Math.abs(decade(low) - 67) < 27, `${low}: ${decade(low)}`);
  const sizes = draw(1).map((point) => point["training.batch_size"]);
  assert.deepEqual([...new Set(sizes)].sort(), [4, 5, 6, 7, 8]);
  const few = sweepPoints(sweep({ method: "random", parameters: { a: [1, 2, 3] }, trials: 10 }));
  assert.deepEqual(few.map(({ a }) => a).sort(), [1, 2, 3]);
});

Deno.test("labels name the last part of a key, and all of it where two share it", () => {
  assert.equal(
    pointLabel({ "training.learning_rate": 0.001, "model.n_layer": 2 }),
    "learning_rate=0.001 n_layer=2",
  );
  assert.equal(pointLabel({ "training.seed": 1, "generation.seed": 2 }), "training.seed=1 generation.seed=2");
});

/** Plays a halving to its end with known scores; returns the moves. */
function play(
  quality: (trial: number, rung: number) => number,
  trials: number,
  options: HalvingOptions,
): Move[] {
  const scores: (number | undefined)[][] = Array.from({ length: trials }, () => []);
  const moves: Move[] = [];
  for (let move = nextMove(scores, options); move !== undefined; move = nextMove(scores, options)) {
    assert.equal(scores[move.trial]!.length, move.rung, "a rung is left out or done twice");
    scores[move.trial]!.push(quality(move.trial, move.rung));
    moves.push(move);
  }
  return moves;
}

const at = (moves: Move[], rung: number) =>
  moves.filter((move) => move.rung === rung).map(({ trial }) => trial);

Deno.test("successive halving keeps the best third at each rung, by the scores of that rung", () => {
  const options: HalvingOptions = { method: "halving", factor: 3, rungs: 3 };
  // At rung 0 the trials 2, 5 and 8 lead; at rung 1, 8 does.
  const quality = (trial: number, rung: number) =>
    rung === 0 ? (trial % 3 === 2 ? 0 : 1) + trial / 100 : -trial;
  const moves = play(quality, 9, options);
  assert.deepEqual(at(moves, 0), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  assert.deepEqual(at(moves, 1), [2, 5, 8]);
  assert.deepEqual(at(moves, 2), [8]);
  // Failed trials do not go on, and when all fail it is over.
  assert.deepEqual(at(play((trial) => trial === 4 ? 1 : Infinity, 9, options), 1), [4]);
  assert.equal(play(() => Infinity, 9, options).length, 9);
  // 4 of 10 go on: a part is rounded up, so that there is always one.
  assert.equal(at(play((trial) => trial, 10, options), 1).length, 4);
  assert.deepEqual(at(play((trial) => trial, 2, options), 2), [0]);
});

Deno.test("ASHA lets a trial go on as soon as it leads its rung, and one reaches the end", () => {
  const options: HalvingOptions = { method: "asha", factor: 3, rungs: 3 };
  const moves = play((trial) => -trial, 9, options); // each is better than all before it
  // After three trials the best goes on, before the fourth begins.
  assert.deepEqual(
    moves.slice(0, 4),
    [0, 1, 2].map((trial) => ({ trial, rung: 0 })).concat({ trial: 2, rung: 1 }),
  );
  assert.equal(at(moves, 0).length, 9);
  assert.ok(at(moves, 1).includes(8) && at(moves, 2).includes(8), JSON.stringify(moves));
  assert.deepEqual(at(play((trial) => trial, 2, options), 2), [0]);
  assert.equal(play(() => Infinity, 9, options).length, 9);
});

Deno.test("each rung has factor times the steps of the one below, at most all steps in the end", () => {
  assert.deepEqual(rungSteps(100, { factor: 3, rungs: 3 }), [11, 33, 99]);
  assert.deepEqual(rungSteps(4, { factor: 2, rungs: 3 }), [1, 2, 4]);
  assert.equal(rungSteps(8, { factor: 3, rungs: 3 }), undefined);
});
