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
  type WindowOptions,
} from "./dataset.ts";
export type { TokenArray, Tokens } from "./file_tokens.ts";
export { DatasetHeader } from "./header.ts";
export { corpusDigest, prepare, type PrepareOptions } from "./prepare/prepare.ts";
export { DatasetStats } from "./prepare/stats.ts";
export type { Progressed } from "./prepare/text_stream.ts";
export { DATASET_FILES, openDataset, type OpenOptions } from "./processed.ts";
export { datasetOfText } from "./text_dataset.ts";
export { CharTokenizer, UNKNOWN_CHARACTER } from "./tokenizers/char.ts";
export type { ByteLevelBpe } from "./tokenizers/byte_level_bpe.ts";
export { OWN_TOKENIZER_FILE, TOKENIZER_FILES, tokenizerInFolder } from "./tokenizers/folder.ts";
export { gpt2Tokenizer } from "./tokenizers/gpt2.ts";
export { readTokenizer, tokenizerFromJSON } from "./tokenizers/load.ts";
export {
  type ByteTokenizer,
  type EncodeOptions,
  END_OF_TEXT,
  type StreamDecoder,
  type Tokenizer,
  type TokenizerJSON,
} from "./tokenizers/tokenizer.ts";
export { type BpeTraining, trainBpe } from "./tokenizers/train_bpe.ts";
export { huggingFaceTokenizerFiles } from "./tokenizers/write_tokenizer_json.ts";
