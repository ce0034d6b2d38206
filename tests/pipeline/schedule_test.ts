import assert from "assert";
import { learningRate, type Schedule } from "../../pipeline/schedule.ts";

const schedule: Schedule = {
  lr_schedule: "cosine",
  learning_rate: 1,
  min_learning_rate: 0.1,
  warmup_steps: 10,
  decay_steps: 20,
  max_steps: 110,
};
const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 1e-12, `${actual} is not ${expected}`);

Deno.test("every schedule warms up linearly and reaches learning_rate with the last step of the warmup", () => {
  for (const lr_schedule of ["cosine", "linear", "constant", "wsd"] as const) {
    const rates = Array.from({ length: 11 }, (_, step) => learningRate(step, { ...schedule, lr_schedule }));
    [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1].forEach((expected, i) => near(rates[i]!, expected));
  }
});

Deno.test("cosine passes through the values worked out by hand", () => {
  near(learningRate(35, schedule), 0.1 + 0.9 * (1 + Math.SQRT1_2) / 2); // a quarter of the way: cos(π/4) = √½
  near(learningRate(60, schedule), 0.55); // half the way
  near(learningRate(110, schedule), 0.1);
  near(learningRate(1000, schedule), 0.1);
});

Deno.test("linear falls evenly, constant does not fall", () => {
  near(learningRate(60, { ...schedule, lr_schedule: "linear" }), 0.55);
  near(learningRate(109, { ...schedule, lr_schedule: "linear" }), 0.109);
  near(learningRate(109, { ...schedule, lr_schedule: "constant" }), 1);
});

Deno.test("wsd stays until decay_steps before the end, then falls evenly", () => {
  const wsd = { ...schedule, lr_schedule: "wsd" as const };
  near(learningRate(90, wsd), 1);
  near(learningRate(100, wsd), 0.55);
  near(learningRate(110, wsd), 0.1);
});

Deno.test("a run shorter than its warmup ends on the ramp", () => {
  near(learningRate(4, { ...schedule, max_steps: 5 }), 0.5);
});

Deno.test("without warmup the first step has the full rate", () => {
  near(learningRate(0, { ...schedule, warmup_steps: 0 }), 1);
});
