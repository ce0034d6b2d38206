/** The section `model`'s keys of variants: defaults, what is refused, what `config.json` says of them. */

import assert from "assert";
import { UserError } from "../../common/mod.ts";
import { modelConfig } from "../../models/config.ts";
import { fromHuggingFaceConfig, toHuggingFaceConfig } from "../../models/hugging_face_config.ts";
import { parameterCount, parameters, storedName } from "../../models/parameters.ts";
import { differences, isGpt2 } from "../../models/variants.ts";

type Section = Parameters<typeof modelConfig>[0];

const refused = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof UserError, `${error}`);
  assert.match(error.describe(), message);
  return true;
};

/** Names of a model's parameters of one layer. */
const names = (section: Section) =>
  parameters(modelConfig({ n_layer: 1, ...section }, 10)).map(({ name }) => name);

Deno.test("what is left out is GPT-2, and what depends on other keys is filled in", () => {
  const plain = modelConfig({}, 10);
  assert.ok(isGpt2(plain));
  assert.deepEqual(differences(plain), []);
  assert.deepEqual([plain.n_kv_head, plain.n_inner, plain.window, plain.rope_theta], [
    4,
    512,
    undefined,
    undefined,
  ]);
  const sparse = modelConfig({ attention_type: "sparse", n_positions: 50 }, 10);
  assert.deepEqual([sparse.window, sparse.sparsity_factor], [13, 4]);
  assert.equal(modelConfig({ position_type: "rotary" }, 10).rope_theta, 10_000);
  assert.deepEqual(differences(modelConfig({ position_type: "alibi", n_kv_head: 2, n_inner: 100 }, 10)), [
    "2 heads of keys and values",
    "ALiBi positions",
    "an MLP 100 wide",
  ]);
});

Deno.test("SwiGLU's default width gives as many weights as the other MLPs have", () => {
  for (const n_embd of [128, 384, 768, 1024]) {
    const count = (mlp_type: "gelu" | "swiglu") =>
      parameterCount(modelConfig({ n_embd, n_layer: 1, bias: false, mlp_type }, 10));
    const ratio = count("swiglu") / count("gelu");
    assert.ok(Math.abs(ratio - 1) < 0.01, `${n_embd}: ${ratio}`);
  }
});

Deno.test("keys that do nothing, and numbers that do not fit, are refused with what to do", () => {
  const cases: [Section, RegExp][] = [
    [{ window: 8 }, /model\.window: does nothing with attention_type memory_efficient; .* sparse/],
    [
      { attention_type: "standard", sparsity_factor: 2 },
      /model\.sparsity_factor: does nothing with .*standard/,
    ],
    [{ rope_theta: 100 }, /model\.rope_theta: does nothing with position_type learned; .* rotary/],
    [{ n_head: 6, n_embd: 36, n_kv_head: 4 }, /model\.n_kv_head: 4 does not divide n_head 6/],
    [{ n_head: 2, n_embd: 6, position_type: "rotary" }, /model\.position_type: rotary .* a head has 3/],
    [{ attention_type: "flash" as never }, /attention_type.*"memory_efficient", "standard", "sparse"/],
    [{ position_type: "rotery" as never }, /position_type.*did you mean "rotary"/],
    [{ attention_type: "sparse", window: 0 }, /model\.window.*at least 1/],
    [{ n_inner: 0 }, /model\.n_inner.*at least 1/],
    [{ qk_norm: 1 as never }, /model\.qk_norm.*true or false/],
  ];
  for (const [section, message] of cases) assert.throws(() => modelConfig(section, 10), refused(message));
});

Deno.test("a variant has the parameters that it computes with, by the field's names, and no others", () => {
  const plain = names({});
  const added = (section: Section) => names(section).filter((name) => !plain.includes(name));
  const gone = (section: Section) => plain.filter((name) => !names(section).includes(name));
  assert.deepEqual(added({ qk_norm: true }), ["h.0.attn.q_norm.weight", "h.0.attn.k_norm.weight"]);
  assert.deepEqual(added({ mlp_type: "swiglu" }), ["h.0.mlp.c_gate.weight", "h.0.mlp.c_gate.bias"]);
  assert.deepEqual(added({ tie_word_embeddings: false }), ["lm_head.weight"]);
  assert.deepEqual(gone({ position_type: "alibi" }), ["wpe.weight"]);
  assert.deepEqual(gone({ position_type: "rotary" }), ["wpe.weight"]);
  assert.deepEqual(gone({ norm_type: "rms_norm" }), ["h.0.ln_1.bias", "h.0.ln_2.bias", "ln_f.bias"]);
  assert.deepEqual(gone({ bias: false }), plain.filter((name) => name.endsWith(".bias")));
  const shared = parameters(modelConfig({ n_kv_head: 1 }, 10)).find(({ name }) =>
    name === "h.0.attn.c_attn.weight"
  )!;
  assert.deepEqual(shared.shape, [128, 128 + 2 * 32]);
});

Deno.test("config.json: GPT2LMHeadModel's form where it computes the same, else ChatGoT's own, and back", () => {
  const gpt2: Section[] = [
    { attention_type: "standard" },
    { mlp_type: "relu_squared" },
    { n_inner: 100 },
    { tie_word_embeddings: false },
  ];
  const own: Section[] = [
    { attention_type: "sparse", window: 7 },
    { n_kv_head: 2 },
    { position_type: "rotary", rope_theta: 500 },
    { position_type: "alibi" },
    { norm_type: "rms_norm" },
    { qk_norm: true },
    { mlp_type: "swiglu" },
    { bias: false },
  ];
  for (const section of [...gpt2, ...own]) {
    const config = modelConfig({ ...section, dropout: 0.1 }, 10);
    const json = JSON.parse(JSON.stringify(toHuggingFaceConfig(config)));
    assert.equal(json.model_type, gpt2.includes(section) ? "gpt2" : "chatgot");
    assert.deepEqual(fromHuggingFaceConfig(json, "config.json"), config);
  }
  const json = toHuggingFaceConfig(modelConfig({ bias: false }, 10));
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ ...json, n_layer: undefined }, /config\.json: n_layer is missing/],
    [{ ...json, rope_theta: 500 }, /config\.json: rope_theta: does nothing/],
    [{ ...json, n_expert: 8 }, /config\.json: unknown key "n_expert"/],
    [{ ...json, n_kv_head: 3 }, /n_kv_head: 3 does not divide n_head 4/],
  ];
  for (const [broken, message] of cases) {
    assert.throws(() => fromHuggingFaceConfig(broken, "config.json"), refused(message));
  }
});

Deno.test("names in files: GPT-2's own; beside a head of its own with the prefix that Hugging Face's loader wants there", () => {
  const stored = (section: Section, name: string) => storedName(modelConfig(section, 10), name);
  assert.equal(stored({}, "h.0.ln_1.weight"), "h.0.ln_1.weight");
  assert.equal(stored({ tie_word_embeddings: false }, "h.0.ln_1.weight"), "transformer.h.0.ln_1.weight");
  assert.equal(stored({ tie_word_embeddings: false }, "lm_head.weight"), "lm_head.weight");
  assert.equal(stored({ tie_word_embeddings: false, bias: false }, "wte.weight"), "wte.weight");
});
