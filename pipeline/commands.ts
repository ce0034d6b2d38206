/** The commands of this room, to be hung on the tree in `mod.ts`. */

import type { Command } from "commander";
import { benchmarkCommand } from "./commands/benchmark.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { evaluateCommand } from "./commands/evaluate.ts";
import { exportCommand } from "./commands/export.ts";
import { generateCommand } from "./commands/generate.ts";
import { importCommand } from "./commands/import.ts";
import { pipelineCommand } from "./commands/pipeline.ts";
import { planCommand } from "./commands/plan.ts";
import { trainCommand } from "./commands/train.ts";
import { tuneCommand } from "./commands/tune.ts";
import type { RunStore } from "./recorder.ts";

/** All commands of `pipeline/`. `runs` is where they keep runs. */
export function pipelineCommands(runs: RunStore): Command[] {
  return [
    trainCommand(runs),
    pipelineCommand(runs),
    generateCommand(),
    evaluateCommand(),
    importCommand(),
    exportCommand(),
    planCommand(),
    doctorCommand(),
    benchmarkCommand(),
    tuneCommand(),
  ];
}
