/** The door of `common/`: what every room needs and none owns. */

export * from "./digest.ts";
export * from "./errors.ts";
export * from "./files.ts";
export * from "./format.ts";
export * from "./git.ts";
export * from "./interrupt.ts";
export * from "./jsonl.ts";
export * from "./progress.ts";
export * from "./random.ts";
export * from "./schema.ts";
export * from "./settings.ts";
export * from "./version.ts";
export * from "./yaml.ts";
