/** The door of `pipeline/`: what is done to a model, and the configuration of a run. */
export * from "./config.ts";
export * from "./recorder.ts";
export * from "./run_config.ts";
export * from "./schedule.ts";
