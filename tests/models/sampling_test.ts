import assert from "assert";
import { UserError } from "../../common/mod.ts";
import { distribution, sampleToken } from "../../models/sampling.ts";

/** Logits of a distribution written by hand. */
const logitsOf = (...weights: number[]) => Float32Array.from(weights, Math.log);
const all = { temperature: 1, top_k: 0, top_p: 1 };

function same({ tokens, probabilities }: ReturnType<typeof distribution>, expected: [number, number][]) {
  assert.deepEqual([...tokens], expected.map(([token]) => token));
  expected.forEach(([, p], i) =>
    assert.ok(Math.abs(probabilities[i]! - p) < 1e-6, `${probabilities[i]} is not ${p}`)
  );
}

Deno.test("temperature 1 is the softmax, ½ squares the weights, 2 takes their roots", () => {
  const logits = logitsOf(1, 4, 5);
  same(distribution(logits, all), [[0, 0.1], [1, 0.4], [2, 0.5]]);
  same(distribution(logits, { ...all, temperature: 0.5 }), [[0, 1 / 42], [1, 16 / 42], [2, 25 / 42]]);
  same(distribution(logitsOf(1, 4, 9), { ...all, temperature: 2 }), [[0, 1 / 6], [1, 2 / 6], [2, 3 / 6]]);
});

Deno.test("temperature 0 takes the largest logit, of equal ones the first", () => {
  same(distribution(Float32Array.of(1, 3, 3, 2), { ...all, temperature: 0 }), [[1, 1]]);
});

Deno.test("top_k keeps exactly k, of equal ones the lower ids, and renormalises", () => {
  const logits = logitsOf(2, 1, 5, 2, 2);
  same(distribution(logits, { ...all, top_k: 2 }), [[2, 5 / 7], [0, 2 / 7]]);
  same(distribution(logits, { ...all, top_k: 3 }), [[2, 5 / 9], [0, 2 / 9], [3, 2 / 9]]);
  assert.equal(distribution(logits, { ...all, top_k: 100 }).tokens.length, 5);
});

Deno.test("top_p keeps the fewest likely tokens that reach it, at least one", () => {
  const logits = logitsOf(1, 6, 3);
  same(distribution(logits, { ...all, top_p: 0.59 }), [[1, 1]]);
  same(distribution(logits, { ...all, top_p: 0.61 }), [[1, 6 / 9], [2, 3 / 9]]);
  same(distribution(logits, { ...all, top_p: 0.0001 }), [[1, 1]]);
});

Deno.test("top_p counts among what top_k left", () => {
  const logits = logitsOf(1, 6, 3); // of the two most likely, token 1 has 6/9 = 0.667
  same(distribution(logits, { temperature: 1, top_k: 2, top_p: 0.65 }), [[1, 1]]);
});

Deno.test("logits of any size do not overflow, and -Infinity is never drawn", () => {
  same(distribution(Float32Array.of(3e38, -3e38, -Infinity), all), [[0, 1], [1, 0], [2, 0]]);
  for (let position = 0; position < 100; position++) {
    const token = sampleToken(Float32Array.of(0, -Infinity, 0), all, { seed: 1, sample: 0, position });
    assert.notEqual(token, 1);
  }
});

Deno.test("draws follow the distribution and depend on seed, sample and position alone", () => {
  const logits = logitsOf(1, 4, 5);
  const draw = (seed: number, sample: number) =>
    Array.from({ length: 4000 }, (_, position) => sampleToken(logits, all, { seed, sample, position }));
  const tokens = draw(7, 0);
  [0.1, 0.4, 0.5].forEach((p, token) => {
    const share = tokens.filter((t) => t === token).length / tokens.length;
    assert.ok(Math.abs(share - p) < 4 * Math.sqrt(p * (1 - p) / 4000), `token ${token}: ${share}`);
  });
  assert.deepEqual(draw(7, 0), tokens);
  assert.notDeepEqual(draw(8, 0), tokens);
  assert.notDeepEqual(draw(7, 1), tokens);
});

Deno.test("NaN and Infinity are told apart from a model's output", () => {
  for (const wrong of [NaN, Infinity]) {
    assert.throws(() => distribution(Float32Array.of(0, wrong), all), (error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, new RegExp(`token 1 is ${wrong}`));
      return true;
    });
  }
});
