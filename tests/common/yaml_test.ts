/** YAML with places, the schema's messages, and settings laid over a file. */

import assert from "assert";
import { z } from "zod";
import { didYouMean, parseSetting, parseYaml, UserError, validate, withSettings } from "../../common/mod.ts";

const text = `# a comment
model:
  n_embd: 128 # trailing
  n_head: 4

training:
  betas: [0.9, 0.99]
  stops:
    - one
    - two
`;

Deno.test("parseYaml() knows the line of keys and items", () => {
  const { value, lineOf } = parseYaml(text, "a.yaml");
  assert.deepEqual(value, {
    model: { n_embd: 128, n_head: 4 },
    training: { betas: [0.9, 0.99], stops: ["one", "two"] },
  });
  assert.equal(lineOf(["model"]), 2);
  assert.equal(lineOf(["model", "n_head"]), 4);
  assert.equal(lineOf(["training", "betas", 1]), 7);
  assert.equal(lineOf(["training", "stops", 1]), 10);
  assert.equal(lineOf(["training", "nothing"]), 6, "the nearest line above");
});

Deno.test("parseYaml() reads numbers as YAML 1.2 does, and an empty file as no keys", () => {
  assert.deepEqual(parseYaml("a: 2e-3\nb: 1e5\nc: no\nd: 0x10\n", "a.yaml").value, {
    a: 0.002,
    b: 100000,
    c: "no",
    d: 16,
  });
  assert.deepEqual(parseYaml("# nothing\n", "a.yaml").value, {});
});

Deno.test("parseYaml() names the line of a syntax error and of a key given twice", () => {
  const bad: [string, number, RegExp][] = [
    ["a: 1\nb: [1, 2\nc: 3\n", 3, /YAML/],
    ["a: 1\n\tb: 2\n", 2, /YAML/],
    ["a: 1\nb: 2\na: 3\n", 3, /given twice/],
    ["a: 1\n---\nb: 2\n", 2, /YAML/],
  ];
  for (const [source, line, message] of bad) {
    assert.throws(
      () => parseYaml(source, "a.yaml"),
      (e) => e instanceof UserError && e.file === "a.yaml" && e.line === line && message.test(e.message),
      source,
    );
  }
});

const Schema = z.strictObject({
  model: z.strictObject({
    n_embd: z.int().min(1).describe("width of the model"),
    n_head: z.int().min(1).default(4),
    attention_type: z.enum(["flash", "plain"]).default("flash"),
  }).refine((m) => m.n_embd % m.n_head === 0, { message: "is not divisible by n_head", path: ["n_embd"] }),
  learning_rate: z.number().gt(0).optional(),
  prompt: z.union([z.string(), z.array(z.string())]).optional(),
});

function messageOf(source: string): { error: UserError; line: string } {
  const yaml = parseYaml(source, "m.yaml");
  try {
    validate(Schema, yaml.value, yaml);
  } catch (error) {
    assert(error instanceof UserError, String(error));
    return { error, line: error.describe() };
  }
  throw new Error("nothing was wrong");
}

Deno.test("validate() fills in defaults", () => {
  assert.deepEqual(validate(Schema, { model: { n_embd: 8 } }), {
    model: { n_embd: 8, n_head: 4, attention_type: "flash" },
  });
});

Deno.test("validate() names file, line, field, what was expected and what was given", () => {
  const cases: [string, number | undefined, RegExp][] = [
    ["model:\n  n_embd: wide\n", 2, /^m.yaml:2: model\.n_embd: expected a whole number, got "wide" \(width/],
    ["model:\n  n_embd: 1.5\n", 2, /model\.n_embd: expected a whole number, got 1.5/],
    ["model:\n  n_embd: 0\n", 2, /model\.n_embd: expected a whole number of at least 1, got 0/],
    ["model:\n  n_embd: 9\n", 2, /model\.n_embd: is not divisible by n_head/],
    ["model:\n  n_head: 2\n", 1, /model\.n_embd is missing, expected a whole number/],
    ["model: 5\n", 1, /model: expected a section of keys, got 5/],
    [
      "model:\n  n_embd: 8\n  attention_type: flahs\n",
      3,
      /one of "flash", "plain" \(did you mean "flash"\?\), got "flahs"/,
    ],
    [
      "model:\n  n_embd: 8\nlearning_rate: -1\n",
      3,
      /learning_rate: expected a number of more than 0, got -1/,
    ],
    ["model:\n  n_embd: 8\nprompt: 3\n", 3, /prompt: expected text or a list, got 3/],
    ["- 1\n", 1, /the value: expected a section of keys/],
  ];
  for (const [source, line, message] of cases) {
    const { error, line: told } = messageOf(source);
    assert.match(told, message);
    assert.equal(error.line, line, told);
  }
});

Deno.test("validate() finds unknown keys, asks what was meant, and tells all faults in one error", () => {
  const { error, line } = messageOf("model:\n  n_embd: 8\n  n_haed: 2\nlerning_rate: 1\nprompt: 2\n");
  assert.match(line, /unknown key "n_haed" in model, did you mean "n_head"\?/);
  assert.match(line, /line 4: unknown key "lerning_rate", did you mean "learning_rate"\?/);
  assert.match(line, /line 5: prompt/);
  assert.equal(error.line, 3);
  assert.match(error.hint ?? "", /n_embd, n_head, attention_type/);
  assert.match(messageOf("model:\n  n_embd: 8\nzzzzzz: 1\n").line, /unknown key "zzzzzz" \(known keys:/);
});

Deno.test("validate() puts the prefix before fields and lines", () => {
  const yaml = parseYaml("training:\n  model:\n    n_embd: x\n", "m.yaml");
  assert.throws(
    () => validate(Schema, (yaml.value as { training: unknown }).training, { ...yaml, prefix: ["training"] }),
    (e) => e instanceof UserError && e.line === 3 && /^training\.model\.n_embd/.test(e.message),
  );
});

Deno.test("didYouMean() finds slips and keeps silent on other words", () => {
  const keys = ["learning_rate", "batch_size", "seed", "top_k"];
  assert.equal(didYouMean("learnign_rate", keys), "learning_rate");
  assert.equal(didYouMean("Batch-Size", keys), "batch_size");
  assert.equal(didYouMean("sed", keys), "seed");
  assert.equal(didYouMean("learning", keys), "learning_rate");
  assert.equal(didYouMean("completely_different", keys), undefined);
  assert.equal(didYouMean("xyz", ["a"]), undefined);
});

Deno.test("parseSetting() reads values as YAML", () => {
  assert.deepEqual(parseSetting("training.log_interval=1"), { path: ["training", "log_interval"], value: 1 });
  assert.deepEqual(parseSetting("a=2e-3").value, 0.002);
  assert.deepEqual(parseSetting("a=[1, 2]").value, [1, 2]);
  assert.deepEqual(parseSetting("a=x=y").value, "x=y");
  assert.deepEqual(parseSetting("a=").value, null);
  for (const bad of ["a", "=1", "a..b=1", ".a=1", "", "a=[1"]) {
    assert.throws(() => parseSetting(bad), UserError);
  }
});

Deno.test("withSettings() lays values over a config and leaves the original", () => {
  const yaml = parseYaml(text, "a.yaml");
  const set = withSettings(yaml, ["model.n_embd=64", "data.corpus=sotu"].map(parseSetting));
  assert.deepEqual((set.value as Record<string, unknown>).model, { n_embd: 64, n_head: 4 });
  assert.deepEqual((set.value as Record<string, unknown>).data, { corpus: "sotu" });
  assert.equal((yaml.value as { model: { n_embd: number } }).model.n_embd, 128);
  assert.equal(set.lineOf(["model", "n_embd"]), undefined, "that line does not hold the value any more");
  assert.equal(set.lineOf(["model", "n_head"]), 4);
  assert.throws(() => withSettings(yaml, [parseSetting("model.n_embd.x=1")]), UserError);
  const polluted = withSettings(yaml, [parseSetting("__proto__.polluted=1")]);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
  assert(Object.hasOwn(polluted.value as object, "__proto__"));
});
