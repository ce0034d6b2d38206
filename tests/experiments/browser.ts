/** A real browser for tests: the system's Chromium, driven by Playwright, and an eye on all that a page does. */

import { existsSync } from "fs";
import { type BrowserContext, chromium, type Page } from "playwright-core";

const EXECUTABLE = Deno.env.get("CHROMIUM_PATH") ?? "/usr/bin/chromium";

/** Why there is no browser here, or undefined where there is one: `CHROMIUM_PATH`, or Debian's package `chromium`. */
export const NO_BROWSER: string | undefined = existsSync(EXECUTABLE)
  ? undefined
  : `there is no ${EXECUTABLE}; install Chromium (apt-get install chromium) or set CHROMIUM_PATH`;

/** What a page did that it should not. */
export interface Faults {
  /** Errors and warnings on its console, and what it threw. */
  console: string[];
  /** Requests to anywhere but the dashboard. */
  elsewhere: string[];
}

/**
 * Runs a test in a browser with a profile of its own, and hands out what went wrong on the way.
 *
 * @param origin the only place that the page may ask
 */
export async function inBrowser(
  origin: string,
  test: (page: Page, faults: Faults) => Promise<void>,
  options: { width?: number; height?: number; colorScheme?: "light" | "dark" } = {},
): Promise<void> {
  const profile = await Deno.makeTempDir({ prefix: "chatgot-browser-" });
  const { width = 1280, height = 800, colorScheme = "light" } = options;
  const context: BrowserContext = await chromium.launchPersistentContext(profile, {
    executablePath: EXECUTABLE,
    headless: true,
    viewport: { width, height },
    colorScheme,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  const faults: Faults = { console: [], elsewhere: [] };
  try {
    context.on("request", (request) => {
      if (!request.url().startsWith(`${origin}/`)) faults.elsewhere.push(request.url());
    });
    const page = context.pages()[0] ?? await context.newPage();
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) faults.console.push(message.text());
    });
    page.on("pageerror", (error) => faults.console.push(String(error)));
    page.setDefaultTimeout(20_000);
    await test(page, faults);
  } finally {
    await context.close();
    await Deno.remove(profile, { recursive: true }).catch(() => {});
  }
}
