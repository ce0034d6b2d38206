/** The language of `--where`: against JavaScript's own conditions, and what it says of slips. */

import assert from "assert";
import fc from "fast-check";
import { UserError } from "../../common/mod.ts";
import type { RunEntry } from "../../experiments/mod.ts";
import { Names } from "../../experiments/query/names.ts";
import { parseWhere } from "../../experiments/query/where.ts";

const metric = (last: number | null, min = last) => ({
  last,
  last_step: 10,
  min,
  min_step: 5,
  max: last,
  max_step: 1,
  count: 3,
});

function run(
  id: string,
  over: Partial<RunEntry>,
  metrics: Record<string, ReturnType<typeof metric>> = {},
): RunEntry {
  return {
    id,
    dir: `/runs/${id}`,
    name: id,
    config_name: "c",
    state: "completed",
    created: "2026-11-24T12:00:00.000Z",
    ended: null,
    tags: [],
    notes: "",
    parents: [],
    archived: false,
    config: {},
    metrics: { bytes: 0, lines: 0, step: 10, tokens: null, time: null, by_name: metrics },
    record: {},
    problems: [],
    partial: false,
    ...over,
  };
}

const RUNS = [
  run("a", {
    config: { "model.n_layer": 4, "training.seed": 1, "data.seed": 2, "data.corpus": "moby-dick" },
    tags: ["base", "Good one"],
  }, {
    val_loss: metric(1.4, 1.2),
  }),
  run("b", {
    config: { "model.n_layer": 6, "data.corpus": "sotu" },
    state: "failed",
    archived: true,
    notes: "NaN at 5",
  }, {
    val_loss: metric(null),
  }),
  run("c", {
    config: { "model.n_layer": 4 },
    created: "2026-12-01T00:00:00.000Z",
    record: { summary: { energy: { joules: 5 } } },
  }, {
    val_loss: metric(1.6),
    "odd name!": metric(7),
  }),
  run("d", { state: "running" }),
];

const chosen = (where: string) =>
  RUNS.filter(parseWhere(where, new Names(RUNS))).map(({ id }) => id).join("");

Deno.test("comparisons find runs by metric, configuration, tag, state and time", () => {
  const expected: Record<string, string> = {
    "val_loss < 1.5 and n_layer = 4": "a",
    "val_loss<1.5 AND n_layer==4": "a",
    "val_loss >= 1.4": "ac",
    "val_loss.min < 1.3": "a",
    "val_loss = null": "bd",
    "val_loss != null": "ac",
    "val_loss": "ac",
    "not val_loss": "bd",
    "model.n_layer > 4": "b",
    "n_layer != 4": "bd",
    "corpus = moby-dick": "a",
    'data.corpus = "sotu"': "b",
    "corpus ~ MOBY": "a",
    "tag = base": "a",
    "tags = 'Good one'": "a",
    "tag ~ good": "a",
    "tag": "a",
    "tag != base": "bcd",
    "state = failed or status = running": "bd",
    "archived": "b",
    "archived = false": "acd",
    "created > 2026-11-30": "c",
    "`odd name!` = 7": "c",
    "summary.energy.joules = 5": "c",
    "notes ~ nan": "b",
    "id = a or id = b and n_layer = 4": "a",
    "(id = a or id = b) and n_layer = 4": "a",
    "not id = a and not (id = b or id = c)": "d",
    "not not id = a": "a",
    "name < 5": "",
    "n_layer = four": "",
  };
  for (const [where, ids] of Object.entries(expected)) assert.equal(chosen(where), ids, where);
});

Deno.test("and, or, not and parentheses mean what they mean in JavaScript", () => {
  const atoms: [string, (run: RunEntry) => boolean][] = [
    ["id = a", ({ id }) => id === "a"],
    ["n_layer = 4", ({ config }) => config["model.n_layer"] === 4],
    ["archived", ({ archived }) => archived],
    ["val_loss > 1.5", ({ metrics }) => (metrics.by_name.val_loss?.last ?? -1) > 1.5],
  ];
  const { tree } = fc.letrec<{ tree: [string, string] }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      fc.nat(3).map((i): [string, string] => [atoms[i]![0], `v[${i}]`]),
      fc.tuple(tie("tree"), tie("tree")).map((
        [[a, x], [b, y]],
      ): [string, string] => [`${a} or ${b}`, `${x}||${y}`]),
      fc.tuple(tie("tree"), tie("tree")).map((
        [[a, x], [b, y]],
      ): [string, string] => [`(${a}) and (${b})`, `(${x})&&(${y})`]),
      tie("tree").map(([a, x]): [string, string] => [`not (${a})`, `!(${x})`]),
    ),
  }));
  fc.assert(
    fc.property(tree, ([where, js]) => {
      const truth = new Function("v", `return ${js}`) as (v: boolean[]) => boolean;
      const expected = RUNS.filter((run) => truth(atoms.map(([, holds]) => holds(run)))).map(({ id }) => id)
        .join("");
      assert.equal(chosen(where), expected, where);
    }),
    { numRuns: 300 },
  );
});

Deno.test("slips are told with their place, unknown names with what is near", () => {
  const told = (where: string, message: RegExp) =>
    assert.throws(
      () => chosen(where),
      (error) => error instanceof UserError && message.test(error.describe()),
      where,
    );
  told("val_los < 1", /no run has anything called "val_los" \(did you mean val_loss\?\)/);
  told("n_layr = 4", /did you mean n_layer\?/);
  told("seed2 = 1", /did you mean seed\?/);
  told("", /expected a name at the end/);
  told("val_loss <", /expected a value at the end \(val_loss <⟨here⟩\)/);
  told("val_loss < 1 n_layer = 4", /expected and, or, or the end at "n_layer"/);
  told("(id = a", /expected and, or, or \) at the end/);
  told("id = a)", /expected and, or, or the end at "\)"/);
  told("= 3", /expected a name at "="/);
  told("id ! a", /! means nothing here/);
  told('id = "a', /a quote is not closed/);
  told("(".repeat(5000) + "id", /less deeply nested/);
  told("x".repeat(10_000), /no run has anything called "x{60}…"/);
  for (const name of ["__proto__", "constructor", "toString", "<script>", "../../etc"]) {
    assert.throws(() => chosen(`\`${name}\` = 1`), (error) => error instanceof UserError, name);
  }
});

Deno.test("a short key that may be several is told with all of them, and a field goes before it", () => {
  const two = [
    run("a", { config: { "training.decay": 1, "model.decay": 2, "training.seed": 3 }, record: { seed: 9 } }),
  ];
  assert.throws(
    () => parseWhere("decay = 1", new Names(two)),
    /decay may be training\.decay or model\.decay/,
  );
  assert.equal(two.filter(parseWhere("training.decay = 1 and seed = 9", new Names(two))).length, 1);
});

Deno.test("what was set goes before what was measured, which its last value names", () => {
  const one = [run("a", { config: { "training.learning_rate": 1 } }, { learning_rate: metric(0) })];
  const names = new Names(one);
  assert.equal(one.filter(parseWhere("learning_rate = 1 and learning_rate.last = 0", names)).length, 1);
});

Deno.test("no expression of any characters does more than be refused", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 60 }), (where) => {
      try {
        parseWhere(where, new Names(RUNS));
      } catch (error) {
        assert.ok(error instanceof UserError, String(error));
      }
      return true;
    }),
    { numRuns: 500 },
  );
});
