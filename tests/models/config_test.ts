import assert from "assert";
import { join } from "path";
import { UserError } from "../../common/mod.ts";
import { modelConfig } from "../../models/config.ts";
import { fromHuggingFaceConfig, toHuggingFaceConfig } from "../../models/hugging_face_config.ts";
import { parameterCount, parameters } from "../../models/parameters.ts";
import { openSafetensors } from "../../models/safetensors.ts";

const reference = join(import.meta.dirname!, "../reference");
const readConfig = (set: string) => JSON.parse(Deno.readTextFileSync(join(reference, set, "config.json")));
const refused = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof UserError, `${error}`);
  assert.match(error.describe(), message);
  return true;
};

Deno.test("names, order and shapes of the parameters are those of Hugging Face's model", () => {
  for (const set of ["one-batch", "trajectory"]) {
    const config = fromHuggingFaceConfig(readConfig(set), "config.json");
    using file = openSafetensors(join(reference, set, "weights.safetensors"));
    assert.deepEqual(
      parameters(config).map(({ name, shape }) => [name, shape]),
      [...file.tensors.values()].map(({ name, shape }) => [name, shape]),
    );
  }
});

Deno.test("the number of parameters is that of GPT-2 small, and decay falls on matrices alone", () => {
  const gpt2 = modelConfig({ n_layer: 12, n_head: 12, n_embd: 768, n_positions: 1024 }, 50257);
  assert.equal(parameterCount(gpt2), 124_439_808); // as transformers counts GPT2LMHeadModel
  for (const p of parameters(gpt2)) assert.equal(p.decay, p.shape.length === 2);
});

Deno.test("a configuration survives the way through Hugging Face's form, and theirs through ours", () => {
  const config = modelConfig({
    n_layer: 3,
    n_head: 5,
    n_embd: 35,
    n_positions: 24,
    dropout: 0.1,
    attn_pdrop: 0,
  }, 67);
  assert.deepEqual(fromHuggingFaceConfig(toHuggingFaceConfig(config), "config.json"), config);
  const theirs = readConfig("one-batch");
  const ours = toHuggingFaceConfig(fromHuggingFaceConfig(theirs, "config.json"));
  const tokens = { use_cache: true, bos_token_id: 0, eos_token_id: 0 }; // say nothing about what is computed
  assert.deepEqual({ ...ours, ...tokens }, theirs);
});

Deno.test("what is not in Hugging Face's file has its default there", () => {
  const config = fromHuggingFaceConfig({ model_type: "gpt2", n_layer: 2 }, "config.json");
  assert.deepEqual([config.n_layer, config.n_embd, config.vocab_size, config.resid_pdrop], [
    2,
    768,
    50257,
    0.1,
  ]);
});

Deno.test("dropout means all three, explicit ones win", () => {
  const { embd_pdrop, resid_pdrop, attn_pdrop } = modelConfig({ dropout: 0.2, attn_pdrop: 0 }, 10);
  assert.deepEqual([embd_pdrop, resid_pdrop, attn_pdrop], [0.2, 0.2, 0]);
});

Deno.test("n_embd that n_head does not divide is refused with both numbers", () => {
  assert.throws(() => modelConfig({ n_embd: 130, n_head: 4 }, 10), refused(/n_embd.*130.*n_head 4/));
});

Deno.test("a vocabulary smaller than the tokenizer's, or none, is refused; a larger one stands", () => {
  assert.throws(() => modelConfig({ vocab_size: 60 }, 65), refused(/vocab_size 60.*65 tokens/));
  assert.throws(() => modelConfig({}), refused(/vocab_size/));
  assert.equal(modelConfig({ vocab_size: 128 }, 65).vocab_size, 128);
});

Deno.test("unknown keys and wrong types of the section are refused", () => {
  assert.throws(() => modelConfig({ n_layers: 4 } as never, 10), refused(/n_layers.*did you mean "n_layer"/));
  assert.throws(() => modelConfig({ n_layer: "4" } as never, 10), refused(/model\.n_layer.*number, got "4"/));
  assert.throws(() => modelConfig({ dropout: 1 }, 10), refused(/model\.dropout.*less than 1/));
});

Deno.test("models that the engine does not compute are refused by field", () => {
  const gpt2 = { model_type: "gpt2" };
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ model_type: "llama" }, /config\.json: model_type.*"gpt2".*"llama"/],
    [{}, /model_type/],
    [{ ...gpt2, activation_function: "relu" }, /activation_function.*"gelu_new".*"relu"/],
    [{ ...gpt2, n_inner: 0 }, /n_inner/],
    [{ ...gpt2, attention_type: "sparse" }, /attention_type.*"memory_efficient", "standard"/],
    [{ ...gpt2, scale_attn_by_inverse_layer_idx: true }, /scale_attn_by_inverse_layer_idx/],
    [{ ...gpt2, n_head: 7 }, /768.*n_head 7/],
    [{ ...gpt2, n_layer: "12" }, /n_layer/],
  ];
  for (const [json, message] of cases) {
    assert.throws(() => fromHuggingFaceConfig(json, "config.json"), refused(message));
  }
  assert.throws(() => fromHuggingFaceConfig([], "config.json"), refused(/config\.json/));
  assert.equal(fromHuggingFaceConfig({ ...gpt2, n_inner: 3072 }, "config.json").n_inner, 3072);
});
