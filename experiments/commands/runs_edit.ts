/** `chatgot runs tag`, `note` and `archive`: what a user writes on runs. Runs that go on may be marked, too. */

import { Command } from "commander";
import { UserError } from "../../common/mod.ts";
import type { RunEntry } from "../reading/run_entry.ts";
import { type RunRecord, updateRunSync } from "../tracker/run_record.ts";
import { addRunsFlags, chosenRun, chosenRuns, names, type RunsFlags } from "./flags.ts";
import { oneLine } from "./plain_text.ts";

/** The command `tag`. */
export function runsTagCommand(): Command {
  const command = new Command("tag")
    .description("Put tags on a run, or take them off")
    .argument("<run>", "id, name, the beginning of either, or folder")
    .argument("[tags...]", "tags to put on it")
    .option("--remove <tags>", "tags to take off, with commas between", names, []);
  return addRunsFlags(command).action(
    async (which: string, tags: string[], flags: RunsFlags & { remove: string[] }) => {
      if (tags.length + flags.remove.length === 0) {
        throw new UserError("no tags were given", { hint: "for example: chatgot runs tag <run> baseline" });
      }
      const run = await chosenRun(which, flags);
      const record = change(run, (record) => ({
        tags: [...new Set([...record.tags, ...tags])].filter((tag) => !flags.remove.includes(tag)),
      }));
      tell(flags, record, `${run.id}: ${record.tags.map((tag) => oneLine(tag, 60)).join(", ") || "no tags"}`);
    },
  );
}

/** The command `note`. */
export function runsNoteCommand(): Command {
  const command = new Command("note")
    .description("Write a note on a run, in place of the one before")
    .argument("<run>", "id, name, the beginning of either, or folder")
    .argument("<words...>", 'the note; "" for none')
    .option("--append", "add a line to the note before");
  return addRunsFlags(command).action(
    async (which: string, words: string[], flags: RunsFlags & { append?: boolean }) => {
      const run = await chosenRun(which, flags);
      const text = words.join(" ");
      const record = change(
        run,
        ({ notes }) => ({ notes: flags.append && notes !== "" ? `${notes}\n${text}` : text }),
      );
      tell(flags, record, `${run.id}: ${record.notes === "" ? "no note" : oneLine(record.notes, 200)}`);
    },
  );
}

/** The command `archive`. */
export function runsArchiveCommand(): Command {
  const command = new Command("archive")
    .description("Leave runs out of lists, or with --undo take them in again; nothing is moved")
    .argument("<run...>", "ids, names, beginnings of either, or folders")
    .option("--undo", "show them again");
  return addRunsFlags(command).action(async (which: string[], flags: RunsFlags & { undo?: boolean }) => {
    const archived = flags.undo !== true;
    const runs = await chosenRuns(which, flags);
    for (const run of runs) change(run, () => ({ archived }));
    if (flags.json) console.log(JSON.stringify({ runs: runs.map(({ id }) => id), archived }));
    else runs.forEach(({ id }) => console.log(`${id}: ${archived ? "archived" : "in lists again"}`));
  });
}

/** Changes a run's record and returns it. */
function change({ dir }: RunEntry, what: (record: RunRecord) => Partial<RunRecord>): RunRecord {
  let changed: RunRecord | undefined;
  updateRunSync(dir, (record) => {
    const news = what(record);
    changed = { ...record, ...news };
    return news;
  });
  return changed!;
}

function tell({ json }: RunsFlags, { id, tags, notes }: RunRecord, line: string): void {
  console.log(json ? JSON.stringify({ run: id, tags, notes }) : line);
}
