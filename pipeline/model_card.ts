/**
 * The model card of an exported model: a README with what it is, what it was trained on and how, its losses, and how to
 * use it. The block between the dashes is what Hugging Face's hub reads ("Model Cards" in its documentation).
 */

import { stringify } from "yaml";
import { humanCount } from "../common/mod.ts";
import {
  differences,
  isGpt2,
  type ModelConfig,
  OWN_MODEL_TYPE,
  parameterCount,
  trainedParameterCount,
} from "../models/mod.ts";
import type { RunConfig } from "./run_config.ts";
import type { TrainingState } from "./training_state.ts";

/** What a card is made of. Undefined is what is not known, as of an imported model. */
export interface CardContent {
  /** The folder's name. */
  name: string;
  /** Version of ChatGoT. */
  version: string;
  config: ModelConfig;
  /** Dtypes that the weights are stored in. */
  dtypes: string[];
  tokenizer: { kind: string; vocab_size: number } | undefined;
  step: number | undefined;
  run: RunConfig | undefined;
  state: TrainingState | undefined;
  /** Name of the model that adapters belong to, or were merged into. */
  base: string | undefined;
}

/** What each kind of tokenizer is called. */
const TOKENIZERS: Record<string, string> = {
  char: "one token for each Unicode character",
  gpt2: "GPT-2's byte-level BPE",
  bpe: "byte-level BPE, trained on the same text",
  file: "byte-level BPE of the model that it was made from",
};

/** The card's text, Markdown. */
export function modelCard(content: CardContent): string {
  const { name, version, config, base } = content;
  const areAdapters = config.lora !== undefined;
  const front = stringify({
    library_name: !isGpt2(config) ? OWN_MODEL_TYPE : areAdapters ? "peft" : "transformers",
    pipeline_tag: "text-generation",
    tags: [...(isGpt2(config) ? ["gpt2"] : []), "chatgot", ...(areAdapters ? ["lora"] : [])],
  });
  const what = areAdapters
    ? `Adapters (LoRA) for the GPT-2-style language model ${base}`
    : "A GPT-2-style language model";
  const sections = [model(content), data(content), training(content), losses(content), use(content)];
  return `---\n${front}---\n\n# ${name}\n\n${
    [`${what}, exported by ChatGoT ${version}.`, ...sections.filter((s) => s !== "")]
      .join(
        "\n\n",
      )
  }\n`;
}

const table = (rows: [string, string | number][]) =>
  ["| | |", "| --- | --- |", ...rows.map(([key, value]) => `| ${key} | ${value} |`)].join("\n");

function model({ config, dtypes, base }: CardContent): string {
  const { lora, tie_word_embeddings } = config;
  const others = differences(config);
  const [count, trained] = [parameterCount(config), trainedParameterCount(config)];
  const adapters: [string, string][] = lora === undefined ? [] : [
    ["trained parameters", `${humanCount(trained)} (${trained})`],
    ["adapters", `rank ${lora.rank}, alpha ${lora.alpha}, in ${lora.targets.join(", ")}`],
  ];
  if (base !== undefined) adapters.push([lora === undefined ? "adapters merged into" : "base model", base]);
  return `## Model\n\n${
    table([
      [
        "parameters",
        `${humanCount(count)} (${count})${
          tie_word_embeddings ? ", the head is tied to the token embedding" : ""
        }`,
      ],
      ...adapters,
      ["layers, heads, width", `${config.n_layer}, ${config.n_head}, ${config.n_embd}`],
      ...(others.length === 0 ? [] : [["other than GPT-2", others.join(", ")] as [string, string]]),
      ["context", `${config.n_positions} tokens`],
      ["vocabulary", config.vocab_size],
      ["stored as", dtypes.join(", ")],
    ])
  }`;
}

function data({ run, state, tokenizer }: CardContent): string {
  const rows: [string, string | number][] = [];
  if (state !== undefined) {
    rows.push(["text", state.dataset.name], ["SHA-256 of the text", `\`${state.dataset.source_digest}\``]);
  }
  if (run !== undefined) rows.push(["part to train on", run.data.split_ratio]);
  if (tokenizer !== undefined) {
    rows.push([
      "tokenizer",
      `${TOKENIZERS[tokenizer.kind] ?? tokenizer.kind}; ${tokenizer.vocab_size} tokens`,
    ]);
  }
  if (tokenizer?.kind === "char") {
    rows.push([
      "its files",
      "`tokenizer.json` for Hugging Face's libraries, `chatgot_tokenizer.json` for ChatGoT",
    ]);
  }
  return rows.length === 0 ? "" : `## Data\n\n${table(rows)}`;
}

function training({ run, step }: CardContent): string {
  if (run === undefined || step === undefined) return "";
  const { batch_size, max_seq_length, accumulate_grad_batches } = run.training;
  const tokens = step * batch_size * max_seq_length * accumulate_grad_batches;
  return `## Training\n\nStep ${step}, ${humanCount(tokens)} tokens. Settings:\n\n\`\`\`yaml\n${
    stringify({ training: run.training })
  }\`\`\``;
}

function losses({ state }: CardContent): string {
  if (state === undefined) return "";
  const rows: [string, string][] = [];
  const row = (name: string, loss: number) =>
    rows.push([name, `${loss.toFixed(4)} nats per token (perplexity ${Math.exp(loss).toPrecision(4)})`]);
  if (state.train_loss !== null) row("training, last steps", state.train_loss);
  if (state.val_loss !== null) row("validation", state.val_loss);
  if (state.best !== null) row(`validation, best (step ${state.best.step})`, state.best.val_loss);
  return rows.length === 0 ? "" : `## Losses\n\n${table(rows)}`;
}

function use({ name, tokenizer, config, base }: CardContent): string {
  if (!isGpt2(config)) {
    return `## Use

Hugging Face's libraries cannot load this model: it is not computed as GPT-2 is (\`model_type\` ${OWN_MODEL_TYPE}). ChatGoT can:

\`\`\`sh\nchatgot generate --model-path ${name}\n\`\`\``;
  }
  if (config.lora !== undefined) {
    return `## Use\n\n\`\`\`python
from peft import PeftModel
from transformers import AutoModelForCausalLM

model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("${base}"), "${name}")
\`\`\`\n\n\`\`\`sh\nchatgot generate --model-path ${name}\n\`\`\``;
  }
  const python = tokenizer === undefined
    ? `from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("${name}")`
    : `from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("${name}")
model = AutoModelForCausalLM.from_pretrained("${name}")
ids = tokenizer("The", return_tensors="pt").input_ids
print(tokenizer.decode(model.generate(ids, max_new_tokens=50)[0]))`;
  return `## Use\n\n\`\`\`python\n${python}\n\`\`\`\n\n\`\`\`sh\nchatgot generate --model-path ${name}\n\`\`\``;
}
