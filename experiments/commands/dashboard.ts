/** The command `chatgot dashboard`: the runs of a folder in a browser. */

import { Command } from "commander";
import { displayPath, onInterrupt, UserError, userPath } from "../../common/mod.ts";
import { serveDashboard } from "../dashboard/server.ts";

interface DashboardFlags {
  runs: string;
  host?: string;
  port?: number;
  token?: string;
  write?: boolean;
  json?: boolean;
}

/** The command. It serves until Ctrl-C, with which it ends as it should. */
export function dashboardCommand(): Command {
  return new Command("dashboard")
    .description("Look at runs in a browser: table, curves as they grow, samples, comparisons")
    .option("--runs <dir>", "folder that holds the runs", "runs")
    .option("--port <number>", "port to listen on; 7070 when left out, or another that is free", portOf)
    .option("--host <address>", "address to listen on; only this machine reaches 127.0.0.1", "127.0.0.1")
    .option("--token <text>", "what a browser must bring; made up where others reach the address")
    .option("--write", "allow tags, notes and the archive to be changed")
    .option("--json", "print one JSON object, with the address, and nothing else on standard output")
    .addHelpText(
      "after",
      "\nRuns elsewhere: ssh -L 7070:127.0.0.1:7070 <machine>, with a dashboard there, needs no other --host.",
    )
    .action(async ({ runs, json, ...options }: DashboardFlags) => {
      const runsDir = userPath(runs);
      const dashboard = serveDashboard({ ...options, runsDir });
      if (json) console.log(JSON.stringify({ url: dashboard.url, runs_dir: runsDir }));
      else {
        console.log(`runs of ${displayPath(runsDir)}: ${dashboard.url}`);
        console.log("Ctrl-C ends");
      }
      using _interrupts = onInterrupt(() => void dashboard.close(), () => Deno.exit(0));
      await dashboard.finished;
    });
}

function portOf(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port < 65536) return port;
  throw new UserError(`--port: expected a whole number from 0 to 65535, got ${text}`);
}
