/** The reports: what they say, that nothing in a name or text becomes markup, and that they need nothing beside them. */

import assert from "assert";
import { join } from "path";
import { collect } from "../../experiments/report/collect.ts";
import { compare } from "../../experiments/report/compare.ts";
import { findings } from "../../experiments/report/findings.ts";
import { writePage } from "../../experiments/report/write_page.ts";
import { writeReports } from "../../experiments/report/write_reports.ts";
import { experimentSchema } from "../../experiments/runner/experiment_config.ts";
import type { ExperimentState } from "../../experiments/runner/experiment_state.ts";

const HOSTILE = `</script><script src="https://evil.example/x.js">*a* |b| \`c\` [d](javascript:e) & "f"`;

/** An experiment with runs whose lines are given: per variant and seed the final bits per byte, or undefined for a failed run. */
async function made(
  dir: string,
  values: Record<string, (number | undefined)[]>,
  { text = "Call me", changes = {} }: { text?: string; changes?: Partial<ExperimentState["variants"][0]> } =
    {},
): Promise<ExperimentState> {
  const names = Object.keys(values);
  const seeds = values[names[0]!]!.map((_, i) => i + 1);
  const runs: ExperimentState["runs"] = [];
  for (const [v, name] of names.entries()) {
    for (const [i, value] of values[name]!.entries()) {
      const run = `run_${v}_${i}`;
      await Deno.mkdir(join(dir, run), { recursive: true });
      const record = {
        format_version: 1,
        id: run,
        name: run,
        config_name: "x",
        parent: "e",
        status: value === undefined ? "failed" : "completed",
        created: "2026-11-25T00:00:00Z",
        ended: null,
        seed: i,
        adapter: "none",
        kernel_choices: {},
        command_line: [],
        git_commit: null,
        versions: {},
        host: null,
        pid: 1,
        resumed: [],
        summary: { steps: 20, tokens: 200 },
      };
      await Deno.writeTextFile(join(dir, run, "run.json"), JSON.stringify(record));
      const lines = [10, 20].flatMap((step) => [
        { step, tokens: 10 * step, train_loss: 3 - step / 100, tokens_per_second: 50 },
        ...(value === undefined
          ? []
          : [{ step, tokens: 10 * step, val_loss: value * 2, val_bits_per_byte: value + 20 - step }]),
      ]);
      await Deno.writeTextFile(
        join(dir, run, "metrics.jsonl"),
        lines.map((line) => JSON.stringify(line) + "\n").join(""),
      );
      await Deno.writeTextFile(
        join(dir, run, "samples.jsonl"),
        JSON.stringify({ step: 20, prompt: "> ", text }) + "\n",
      );
      runs.push({
        variant: name,
        seed: i + 1,
        status: value === undefined ? "failed" : "completed",
        run,
        scores: value === undefined ? [] : [value],
        error: value === undefined ? `no <b>loss</b> ${HOSTILE}` : null,
      });
    }
  }
  const config = experimentSchema.parse({
    name: "made",
    description: `Is it so? ${HOSTILE}`,
    models: names.map((name) => ({ name: name.slice(0, 60), config: "c.yaml" })),
    seeds,
    budget: { tokens: 200 },
    output: { runs_dir: dir },
  });
  return {
    format_version: 1,
    id: "made_1",
    status: "completed",
    created: "2026-11-25T00:00:00Z",
    ended: "2026-11-25T00:01:00Z",
    file: "made.yaml",
    digest: "0",
    adapter: "none",
    versions: { chatgot: "0", deno: "2", os: "linux" },
    config,
    variants: names.map((name) => ({
      name,
      model: name,
      values: {},
      parameters: 1000,
      tokenizer: "char",
      vocab_size: 90,
      tokens_per_step: 10,
      flops_per_step: 1e6,
      device_memory_bytes: 2 ** 20,
      max_steps: 20,
      rungs: [20],
      ...changes,
    })),
    runs,
  };
}

async function inTemporary(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("nothing in a name, a text or an error becomes markup, and the report loads and runs nothing", () =>
  inTemporary(async (dir) => {
    const state = await made(dir, { [HOSTILE]: [1, 1.1], "plain": [2, undefined] }, { text: HOSTILE });
    await writeReports(join(dir, "out"), state);
    const html = await Deno.readTextFile(join(dir, "out/report.html"));
    // Text is escaped, so every < begins a tag.
    const tags = Array.from(
      html.matchAll(/<\/?([^\s>\/]+)([^>]*)>/g),
      ([, name, attributes]) => ({ name, attributes }),
    );
    const allowed =
      "!DOCTYPE html head meta title style body main h1 h2 h3 p ul li div table thead tbody tr th td figure svg desc " +
      "rect text g line path circle section pre";
    assert.deepEqual(
      [...new Set(tags.map(({ name }) => name!))].filter((name) => !allowed.split(" ").includes(name)),
      [],
    );
    const attributes = tags.flatMap(({ attributes }) =>
      [...attributes!.matchAll(/([\w:-]+)="[^"]*"/g)].map(([, name]) => name!)
    );
    assert.ok(attributes.length > 100);
    assert.deepEqual(
      attributes.filter((name) => /^(src|href|on.*|xlink:href|action|formaction)$/.test(name)),
      [],
    );
    assert.ok(!/url\(|@import/.test(html));
    assert.ok(html.includes("&lt;script"));
    assert.ok(html.includes("default-src 'none'".replaceAll("'", "&#39;")));
    const markdown = await Deno.readTextFile(join(dir, "out/report.md"));
    const outside = markdown.replace(/^(`{3,})text\n[\s\S]*?\n\1$/gm, "");
    assert.ok(!/(?<!\\)<script/.test(outside), outside);
    assert.ok(!/(?<!\\)\[d/.test(outside));
    for (const { name } of Deno.readDirSync(join(dir, "out/plots"))) {
      assert.ok(!/<script/.test(await Deno.readTextFile(join(dir, "out/plots", name))));
      assert.ok(markdown.includes(`](plots/${name})`), `${name} is not shown`);
    }
  }));

Deno.test("a fence in a sample does not end its block", () =>
  inTemporary(async (dir) => {
    const state = await made(dir, { a: [1], b: [2] }, { text: "x\n````\n# no heading" });
    await writeReports(join(dir, "out"), state);
    assert.match(
      await Deno.readTextFile(join(dir, "out/report.md")),
      /\n`````text\n> x\n````\n# no heading\n`````\n/,
    );
  }));

Deno.test("findings name the best and only those differences that are larger than the spread of seeds", () =>
  inTemporary(async (dir) => {
    const far = await collect(
      await made(dir, { a: [1, 1.01, 1.02], b: [2, 2.01, 2.02], c: [1.005, 1.02, 1.01] }),
    );
    const told = findings(far).join("\n");
    assert.match(told, /a has the least validation loss: 1\.0100 ± 0\.0100 bits per byte/);
    assert.match(told, /2 of 3 differences are larger/);
    assert.match(told, /a is better than b by 1\.0000 bits per byte/);
    assert.match(told, /Not larger than it: a and c\./);
    assert.deepEqual(compare(far, "val_bits_per_byte").map(({ larger }) => larger), [true, false, true]);

    const single = await collect(await made(dir, { a: [1], b: [2] }));
    assert.match(findings(single).join("\n"), /a single seed: whether .* cannot be said/);
    assert.deepEqual(
      compare(single, "val_bits_per_byte").map(({ larger, p, difference }) => [larger, p, difference]),
      [
        [null, null, 1],
      ],
    );
  }));

Deno.test("many variants are compared with the best alone; per-token losses of several tokenizers are warned of", () =>
  inTemporary(async (dir) => {
    const values = Object.fromEntries(
      ["a", "b", "c", "d", "e", "f", "g"].map((name, i) => [name, [7 - i, 7.01 - i]]),
    );
    const many = await collect(await made(dir, values));
    const pairs = compare(many, "val_bits_per_byte");
    assert.deepEqual(pairs.map(({ first, second }) => first + second), ["ga", "gb", "gc", "gd", "ge", "gf"]);
    many.variants[0]!.plan.vocab_size = 2048;
    assert.match(
      findings(many).join("\n"),
      /different tokenizers, so val_loss and train_loss do not compare/,
    );
  }));

Deno.test("a page keeps what was written below its results when it is written again", () =>
  inTemporary(async (dir) => {
    const state = await made(dir, { a: [1, 2], b: [2, 3] });
    const page = await writePage(join(dir, "docs"), state);
    const first = await Deno.readTextFile(page);
    assert.match(first, /\n## What follows\n$/);
    assert.ok(!first.includes("run\\_0"), "a page names no folder of a run");
    await Deno.writeTextFile(page, first + "\nTake a.\n");
    state.config.description = "Another question.";
    await writePage(join(dir, "docs"), state);
    const second = await Deno.readTextFile(page);
    assert.match(second, /Another question\.[\s\S]*\n## What follows\n\nTake a\.\n$/);
    for (const [, plot] of second.matchAll(/\]\(([^)]+\.svg)\)/g)) await Deno.stat(join(dir, "docs", plot!));
  }));
