/**
 * Measures the dashboard on a folder of runs, such as `many_runs.ts` makes, in a real browser:
 *
 *     deno run -A tests/experiments/dashboard_speed.ts <runs>
 *
 * Prints one JSON object: milliseconds from an address to its view, and the most memory that the server's process took.
 * The server is a process of its own; nothing is known to it before the first view but what is noted beside the runs.
 */

import { join } from "path";
import { inBrowser } from "./browser.ts";

const [runs] = Deno.args;
if (runs === undefined) throw new Error("give the folder of runs");

const server = new Deno.Command(Deno.execPath(), {
  args: [
    "run",
    "-A",
    "--no-check",
    join(import.meta.dirname!, "../../mod.ts"),
    "dashboard",
    "--runs",
    runs,
    "--port",
    "0",
    "--json",
  ],
  stdout: "piped",
}).spawn();

/** The most memory that a process took so far, in MB, as Linux tells it. */
function peakMegabytes(pid: number): number {
  const [, kilobytes] = /VmHWM:\s*(\d+) kB/.exec(Deno.readTextFileSync(`/proc/${pid}/status`)) ?? [];
  return Math.round(Number(kilobytes) * 1024 / 1e6);
}

try {
  const reader = server.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { url } = JSON.parse((await reader.read()).value ?? "{}");
  const { origin } = new URL(url);
  const report: Record<string, number> = { idle_megabytes: peakMegabytes(server.pid) };
  await inBrowser(origin, async (page, faults) => {
    const timed = async (name: string, address: string, shown: string) => {
      const began = performance.now();
      await page.goto(address);
      await page.locator(shown).first().waitFor();
      report[name] = Math.round(performance.now() - began);
    };
    await page.goto(`${origin}/compare`); // the page's own files are there from now on
    await timed("list_ms", `${origin}/`, "tbody tr");
    const ids = await page.locator("tbody th.name a").evaluateAll((links) =>
      links.map((link) => link.getAttribute("title") ?? "")
    );
    await timed("list_again_ms", `${origin}/?sort=val_loss`, "tbody tr");
    const chosen = new URLSearchParams(ids.slice(0, 10).map((id) => ["run", id]));
    const curves = "figure.chart .plot[aria-label*=' to ']";
    await timed("compare_10_ms", `${origin}/compare?${chosen}&metric=train_loss`, curves);
    await timed("compare_10_again_ms", `${origin}/compare?${chosen}&metric=train_loss&smooth=0.9`, curves);
    await timed("run_ms", `${origin}/runs/${encodeURIComponent(ids[20] ?? "")}`, curves);
    for (let i = 0; i < 100; i += 10) {
      const others = new URLSearchParams(ids.slice(i, i + 10).map((id) => ["run", id]));
      await timed("compare_other_10_ms", `${origin}/compare?${others}`, curves);
    }
    report.peak_megabytes = peakMegabytes(server.pid);
    if (faults.console.length > 0) console.error(faults.console.join("\n"));
  });
  console.log(JSON.stringify(report));
} finally {
  server.kill("SIGTERM");
  await server.status;
}
