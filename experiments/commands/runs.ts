/** The command `chatgot runs`: the runs there are, and all that is done with them after they were trained. */

import { Command } from "commander";
import { runsCompareCommand } from "./runs_compare.ts";
import { runsArchiveCommand, runsNoteCommand, runsTagCommand } from "./runs_edit.ts";
import { runsExportCommand } from "./runs_export.ts";
import { runsListCommand } from "./runs_list.ts";
import { runsRemoveCommand } from "./runs_remove.ts";
import { runsShowCommand } from "./runs_show.ts";
import { runsTailCommand } from "./runs_tail.ts";

/** The command and those below it; without one of them it lists. */
export function runsCommand(): Command {
  const command = new Command("runs").description("List, compare, mark, export and remove runs");
  const others = [
    runsShowCommand(),
    runsCompareCommand(),
    runsTailCommand(),
    runsTagCommand(),
    runsNoteCommand(),
    runsArchiveCommand(),
    runsRemoveCommand(),
    runsExportCommand(),
  ];
  command.addCommand(runsListCommand(others.map((other) => other.name())), { isDefault: true });
  for (const other of others) command.addCommand(other);
  return command.addHelpText(
    "after",
    "\nA run is called by its id (the folder's name), its name, the beginning of either, or its folder.\n" +
      "The list takes --where, --sort, --columns and --limit; `chatgot runs list --help` tells how.",
  );
}
