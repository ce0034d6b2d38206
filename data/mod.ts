/** The door of `data/`: corpora, tokenizers, prepared datasets and batches. */

export { prepareCommand } from "./commands.ts";
export { checkDataConfig, DataConfig, dataSection } from "./config.ts";
export { CORPUS_NAMES, findCorpus, RAW_FOLDER } from "./corpora.ts";
export {
  type Batch,
  Dataset,
  type EvaluationBatch,
  IGNORED_TARGET,
  type Split,
  type TokenArray,
} from "./dataset.ts";
export { DatasetHeader } from "./header.ts";
export { prepare, type PrepareOptions } from "./prepare.ts";
export { openDataset } from "./processed.ts";
export { datasetOfText } from "./text_dataset.ts";
export { CharTokenizer, UNKNOWN_CHARACTER } from "./tokenizers/char.ts";
export { tokenizerFromJSON } from "./tokenizers/load.ts";
export type { Tokenizer, TokenizerJSON } from "./tokenizers/tokenizer.ts";
