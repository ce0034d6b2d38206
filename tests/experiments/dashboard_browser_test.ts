/** The dashboard as a person uses it: a real browser over a real training in progress. */

import assert from "assert";
import axe from "axe-core";
import { join } from "path";
import { serveDashboard } from "../../experiments/mod.ts";
import { ended, inFolder, onlyRun, reached, start } from "../pipeline/training_support.ts";
import { type Faults, inBrowser, NO_BROWSER } from "./browser.ts";
import { placeRun, withDashboard } from "./dashboard_support.ts";
import type { Page } from "playwright-core";

const ignore = NO_BROWSER !== undefined;
if (ignore) console.warn(`dashboard_browser_test.ts: ${NO_BROWSER}`);

/** Nothing on the console, nothing asked of another place. */
function assertClean(faults: Faults): void {
  assert.deepEqual(faults, { console: [], elsewhere: [] });
}

/** What an independent checker has against the page, one line each. */
async function accessibilityFaults(page: Page): Promise<string[]> {
  // Evaluated by the debugger and not by the page, whose policy would not let it.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate("axe.run({ resultTypes: ['violations'] })") as axe.AxeResults;
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`));
}

Deno.test({
  name: "a training in progress is found in the table, and its curve grows without a reload",
  ignore,
  fn: () =>
    inFolder(async (dir) => {
      const runsDir = join(dir, "runs");
      const dashboard = serveDashboard({ runsDir, port: 0 });
      const training = start(dir, [
        "train",
        "--config-path",
        "tiny.yaml",
        "--max-steps=100000",
        "--eval-interval=20",
        "--sample-interval=40",
      ]);
      try {
        await inBrowser(new URL(dashboard.url).origin, async (page, faults) => {
          await page.goto(dashboard.url); // before there is a run: it appears by itself
          await reached(dir, 10, training);
          const row = page.locator("tbody tr");
          await row.first().waitFor();
          assert.match(await row.first().innerText(), /tiny[\s\S]*running/);
          await row.first().locator("a").first().click();
          await page.waitForURL(/\/runs\/tiny_/);
          const loss = page.locator("figure.chart", { hasText: "train_loss" }).first();
          const lastX = async () =>
            Number(
              /up to step (\d+)/.exec(await loss.locator(".plot").getAttribute("aria-label") ?? "")?.[1] ??
                -1,
            );
          await loss.locator("canvas").waitFor();
          const before = await lastX();
          await page.waitForFunction((x) => {
            const label = document.querySelector("figure.chart .plot")?.getAttribute("aria-label");
            return Number(/up to step (\d+)/.exec(label ?? "")?.[1] ?? -1) >= x + 20;
          }, before);
          assert.ok(await lastX() > before);
          await page.getByRole("link", { name: /^samples/ }).click();
          await page.locator("article.sample").first().waitFor();
          assert.match(await page.locator("article.sample").first().innerText(), /step \d+[\s\S]*the /);
          training.kill("SIGINT");
          assert.equal((await ended(training)).code, 130);
          await page.locator(".runhead .state", { hasText: "interrupted" }).waitFor();
          assertClean(faults);
        });
        assert.ok(onlyRun(dir));
      } finally {
        try {
          training.kill("SIGKILL");
        } catch { /* it has ended */ }
        await dashboard.close();
      }
    }),
});

Deno.test({
  name: "runs are filtered, sorted and compared, by mouse or by keys alone, and each view is an address",
  ignore,
  fn: () =>
    withDashboard(async ({ runs, origin }) => {
      for (let i = 0; i < 12; i++) {
        const config = {
          model: { n_layer: 2 + i % 3 },
          training: { learning_rate: 0.001 * (i + 1), seed: i },
        };
        const metrics = Array.from(
          { length: 50 },
          (_, s) => ({ step: s * 10, tokens: s * 640, val_loss: 1 + i / 10 + 2 / (s + 1) }),
        );
        await placeRun(runs, `sweep_${i}`, {
          "run.json": {
            format_version: 1,
            name: `sweep ${i}`,
            status: "completed",
            parents: ["grid"],
            created: `2026-11-24T12:00:${10 + i}.000Z`,
            config,
          },
          "metrics.jsonl": metrics,
        });
      }
      await inBrowser(origin, async (page, faults) => {
        await page.goto(`${origin}/`);
        await page.getByText("12 runs").waitFor();
        await page.keyboard.press("/");
        await page.keyboard.type("sweep 1");
        await page.getByText("3 of 12 runs").waitFor(); // sweep 1, 10, 11
        assert.equal(new URL(page.url()).searchParams.get("where"), "sweep 1");
        await page.locator("thead a", { hasText: /^val loss/ }).click();
        await page.locator("th[aria-sort=ascending]", { hasText: "val loss" }).waitFor();
        assert.deepEqual(await page.locator("tbody th.name a").allInnerTexts(), [
          "sweep 1",
          "sweep 10",
          "sweep 11",
        ]);
        for (const key of ["j", "x", "j", "x", "c"]) await page.keyboard.press(key);
        await page.waitForURL(/\/compare\?run=sweep_1&run=sweep_10$/);
        await page.locator("figure.chart canvas").waitFor();
        const label = await page.locator("figure.chart .plot").getAttribute("aria-label");
        assert.match(label!, /sweep 1: from 3\.1 to 1\.14.*sweep 10: from 4 to 2\.04/);
        // The chart is moved along by keys, and tells what it shows there.
        await page.locator(".plot").focus();
        await page.keyboard.press("Home");
        await page.locator("figure .reading", { hasText: /^0$/ }).waitFor();
        assert.match(await page.locator(".legend").innerText(), /sweep 1\s*3\.1[\s\S]*sweep 10\s*4/);
        await page.getByRole("button", { name: "tokens" }).click();
        await page.getByLabel("log y").check();
        await page.waitForURL(/x=tokens.*logy=1|logy=1.*x=tokens/);
        // A view is an address: whoever gets it sees the same.
        await page.goto(page.url());
        assert.ok(await page.getByLabel("log y").isChecked());
        await page.getByRole("link", { name: "what differs" }).click();
        await page.getByRole("row", { name: /training\.learning_rate 0\.002 0\.011/ }).waitFor();
        await page.getByRole("link", { name: "sweep", exact: true }).click();
        await page.locator("svg.parallel polyline").first().waitFor({ state: "attached" });
        assert.equal(await page.locator("svg.parallel polyline").count(), 2);
        // Runs of one parent are an experiment, with a curve for each variant.
        await page.goto(`${origin}/experiments/grid`);
        await page.locator(".plot[aria-label*='sweep 11 (1): from']").waitFor();
        assert.equal(await page.locator(".variants tbody tr").count(), 12);
        assertClean(faults);
      });
    }),
});

Deno.test({
  name: "hostile names and texts are shown as text and run nothing",
  ignore,
  fn: () =>
    withDashboard(async ({ runs, origin }) => {
      const evil = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>';
      await placeRun(runs, "<script>alert(1)", {
        "run.json": {
          format_version: 1,
          name: evil,
          status: "completed",
          tags: [evil, "🐳".repeat(3000)],
          notes: evil,
          created: evil,
          adapter: evil,
        },
        "metrics.jsonl": [{ step: 1, [evil]: 2, train_loss: 3 }, { step: 2, [evil]: 1, train_loss: 2 }],
        "samples.jsonl": [{ step: 1, prompt: evil, text: evil }],
        "events.jsonl": [{ type: evil, step: 1, time: evil, [evil]: evil }],
        "config.yaml": JSON.stringify({ [evil]: evil }),
      });
      await placeRun(runs, "javascript:alert(1)", { "run.json": { name: "x".repeat(10_000), status: evil } });
      await inBrowser(origin, async (page, faults) => {
        await page.goto(`${origin}/`);
        await page.locator("tbody tr").nth(1).waitFor();
        const parts = [
          "",
          "?part=samples",
          "?part=events",
          "?part=config",
          "?part=system",
          "?part=artifacts",
        ];
        for (const part of parts) {
          await page.goto(`${origin}/runs/${encodeURIComponent("<script>alert(1)")}${part}`);
          await page.locator("h1", { hasText: "<img src=x" }).waitFor();
          await page.waitForTimeout(200);
          assert.equal(await page.locator("main img, main script").count(), 0, part);
          assert.doesNotMatch(await page.title(), /^owned/);
        }
        await page.goto(
          `${origin}/compare?run=${encodeURIComponent("<script>alert(1)")}&run=${
            encodeURIComponent("javascript:alert(1)")
          }&metric=${encodeURIComponent(evil)}`,
        );
        await page.locator("figure.chart").waitFor();
        assert.equal(await page.locator("main img, main script").count(), 0);
        assertClean(faults);
      });
    }),
});

Deno.test({
  name: "every view satisfies an independent checker of accessibility, in light and in dark, on a phone, too",
  ignore,
  fn: () =>
    withDashboard(async ({ runs, origin }) => {
      for (const id of ["one", "two"]) {
        await placeRun(runs, id, {
          "samples.jsonl": [{ step: 1, prompt: "Call me ", text: "Ishmael" }],
          "events.jsonl": [{ type: "resumed", step: 10, time: "2026-11-24T12:00:00.000Z" }, {
            type: "not_finite",
            step: 3,
          }],
          "system.jsonl": [{ step: 1, process_rss_bytes: 1e8 }],
          "config.yaml": `training: { learning_rate: ${id === "one" ? 1 : 2} }`,
        });
      }
      const views = [
        "/",
        "/runs/one",
        ...["samples", "events", "config"].map((part) => `/runs/one?part=${part}`),
        "/compare?run=one&run=two",
        "/compare?run=one&run=two&part=config",
        "/compare?run=one&run=two&part=sweep",
        "/experiments",
      ];
      const onPhone = ["/", "/runs/one", "/compare?run=one&run=two"];
      for (const [colorScheme, width, seen] of [["light", 1280, views], ["dark", 390, onPhone]] as const) {
        await inBrowser(origin, async (page, faults) => {
          for (const view of seen) {
            await page.goto(origin + view);
            await page.locator("main .view").waitFor();
            await page.waitForTimeout(100);
            assert.deepEqual(await accessibilityFaults(page), [], `${view} ${colorScheme}`);
            // On a phone the page itself is no wider than the screen; tables scroll inside it.
            assert.ok(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view);
          }
          assertClean(faults);
        }, { colorScheme, width });
      }
    }),
});
