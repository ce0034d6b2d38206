/** The door of `models/`: what a GPT is, where its weights come from and where they are kept. */
export * from "./adapter.ts";
export * from "./adapter_files.ts";
export * from "./checkpoint.ts";
export * from "./checkpoint_list.ts";
export * from "./checkpoint_write.ts";
export * from "./config.ts";
export * from "./generator.ts";
export * from "./gpt.ts";
export * from "./hugging_face_config.ts";
export * from "./init.ts";
export * from "./load.ts";
export * from "./model_folder.ts";
export * from "./parameters.ts";
export * from "./safetensors.ts";
export { type Dtype, DTYPE_BYTES, type TensorInfo } from "./safetensors_header.ts";
export * from "./safetensors_write.ts";
export * from "./sampling.ts";
export * from "./trainable.ts";
