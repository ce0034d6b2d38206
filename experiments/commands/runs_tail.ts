/** `chatgot runs tail`: the last lines of a run, and those that follow while it goes on. */

import { join } from "path";
import { Command, Option } from "commander";
import { onInterrupt } from "../../common/mod.ts";
import { BEGINNING, readAppended } from "../reading/appended_lines.ts";
import { isHeld } from "../reading/is_held.ts";
import { addRunsFlags, chosenRun, count, type RunsFlags } from "./flags.ts";
import { brief, manyLines, oneLine } from "./plain_text.ts";

interface TailFlags extends RunsFlags {
  stream: "metrics" | "samples" | "events" | "system";
  lines: number;
  follow: boolean;
}

const LOOK_MS = 300;

/** The command. */
export function runsTailCommand(): Command {
  const command = new Command("tail")
    .description("Show a run's last lines, and go on as long as it does")
    .argument("<run>", "id, name, the beginning of either, or folder")
    .addOption(
      new Option("--stream <stream>", "which lines").choices(["metrics", "samples", "events", "system"])
        .default("metrics"),
    )
    .option("-n, --lines <count>", "how many lines to begin with", count("--lines"), 10)
    .option("--no-follow", "do not wait for more");
  return addRunsFlags(command).action(async (which: string, flags: TailFlags) => {
    const run = await chosenRun(which, flags);
    const file = join(run.dir, `${flags.stream}.jsonl`);
    const last: Record<string, unknown>[] = [];
    let place = readAppended(file, BEGINNING, (line) => {
      last.push(line);
      if (last.length > flags.lines) last.shift();
    });
    if (flags.json) return console.log(JSON.stringify({ run: run.id, stream: flags.stream, lines: last }));
    last.forEach((line) => console.log(shown(line)));
    if (!flags.follow) return;
    using _interrupts = onInterrupt(() => Deno.exit(130), () => Deno.exit(130));
    for (let goesOn = isHeld(run.dir); goesOn;) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      goesOn = isHeld(run.dir); // looked at before the lines, so that the last ones are seen
      place = readAppended(
        file,
        place,
        (line) => console.log(shown(line)),
        () => console.log("the run was resumed"),
      );
    }
  });
}

/** A line for people: step and time, then what it holds; a sample's text as it was written. */
function shown({ step, time, text, ...more }: Record<string, unknown>): string {
  const clock = typeof time === "string" ? oneLine(time.slice(11, 19), 8) : "";
  const facts = Object.entries(more).filter(([name]) => name !== "prompt" || text === undefined);
  const head = [
    clock,
    `step ${brief(step)}`,
    ...facts.map(([name, value]) => `${oneLine(name, 40)} ${value === null ? "null" : brief(value, 60)}`),
  ];
  const body = typeof text === "string" ? `\n${manyLines(`${more.prompt ?? ""}${text}`)}` : "";
  return head.join("  ").trim() + body;
}
