/**
 * Charts, read as a person reads them: pixels turn into numbers by the axes' own labels, and the numbers are those that
 * were given. Names are text whatever they hold, the same data gives the same bytes, and colours stand out.
 */

import assert from "assert";
import { type Document, DOMParser, type Element } from "@xmldom/xmldom";
import fc from "fast-check";
import {
  attentionChart,
  barChart,
  Chart,
  heatmap,
  lineChart,
  type Series,
  seriesOf,
  sideBySide,
  spreadOf,
  table,
} from "../../experiments/mod.ts";
import { INK, levelColour, LEVELS, PAPER, SERIES } from "../../experiments/charts/palette.ts";
import { thinned } from "../../experiments/charts/thin.ts";

const HOSTILE = [
  "<script>alert(1)</script>",
  `"><svg onload="x">`,
  "a & b &amp; ]]> <!--",
  "../../etc/passwd",
  "\0\x1b[31m\ud800\uffff",
  "🐋".repeat(3000),
  "",
];

/** Parses strictly: whatever is not well-formed throws. (U+FFFD stands for what XML forbids.) */
function parse(svg: string): Document {
  const fail = (level: string, message: string) => {
    if (!message.includes("replacement character")) throw new Error(`${level}: ${message}`);
  };
  return new DOMParser({ onError: fail }).parseFromString(svg, "image/svg+xml");
}

const all = (root: Document | Element, name: string) => Array.from(root.getElementsByTagName(name));
const number = (element: Element, name: string) => Number(element.getAttribute(name));

/** What a tick label says: `20k`, `3e-4`, `1,500`, `−2`. */
function labelled(text: string): number {
  const [, digits, unit = ""] = /^(.*?)([kMBT]?)$/.exec(text.replaceAll(",", "").replace("−", "-"))!;
  return Number(digits) * ({ "": 1, k: 1e3, M: 1e6, B: 1e9, T: 1e12 } as Record<string, number>)[unit]!;
}

/** From pixels in the picture to numbers, by the outermost two tick labels of an axis. */
function axis(document: Document, direction: "x" | "y", log = false): (pixel: number) => number {
  const anchor = direction === "x" ? "middle" : "end";
  const labels = all(document, "text").filter((text) =>
    text.getAttribute("font-size") === "11" && text.getAttribute("text-anchor") === anchor
  );
  const ticks = labels.map((text) => ({
    pixel: direction === "x" ? number(text, "x") : number(text, "y") - 4,
    value: labelled(text.textContent!),
  })).sort((a, b) => a.pixel - b.pixel);
  const [first, last] = [ticks[0]!, ticks.at(-1)!];
  assert.ok(ticks.length >= 2, `${ticks.length} ticks on the ${direction} axis`);
  const [from, to] = log ? [Math.log(first.value), Math.log(last.value)] : [first.value, last.value];
  return (pixel) => {
    const at = from + (to - from) * (pixel - first.pixel) / (last.pixel - first.pixel);
    return log ? Math.exp(at) : at;
  };
}

/** The series of a line chart with their points in pixels of the picture. */
function lines(document: Document): { name: string; line: [number, number][]; band: [number, number][] }[] {
  const plot = all(document, "svg").find((svg) => svg.hasAttribute("overflow"))!;
  const [left, top] = [number(plot, "x"), number(plot, "y")];
  const points = (path: Element | undefined) =>
    [...(path?.getAttribute("d") ?? "").matchAll(/(-?[\d.]+),(-?[\d.]+)/g)]
      .map((match): [number, number] => [left + Number(match[1]), top + Number(match[2])]);
  return all(plot, "g").map((group) => ({
    name: all(group, "title")[0]!.textContent!,
    line: points(all(group, "path").find((path) => path.hasAttribute("stroke-linejoin"))),
    band: points(all(group, "path").find((path) => path.hasAttribute("fill-opacity"))),
  }));
}

/** Compares to a pixel's twentieth, at the given size of a pixel. */
function near(found: number, expected: number, perPixel: number): void {
  assert.ok(Math.abs(found - expected) <= 0.05 * Math.abs(perPixel), `found ${found}, expected ${expected}`);
}

Deno.test("points of a line stand where the axes say that they are", () => {
  const value = fc.double({ min: -1e7, max: 1e7, noNaN: true });
  const point = fc.record({ x: value, y: value });
  fc.assert(
    fc.property(
      fc.array(fc.array(point, { minLength: 2, maxLength: 6 }), { minLength: 1, maxLength: 4 }),
      (data) => {
        const series = data.map((points, i) => ({ name: `s${i}`, points }));
        const document = parse(lineChart(series).svg);
        const [x, y] = [axis(document, "x"), axis(document, "y")];
        const drawn = lines(document);
        assert.deepEqual(drawn.map(({ name }) => name), series.map(({ name }) => name));
        drawn.forEach(({ line }, i) => {
          assert.equal(line.length, data[i]!.length);
          line.forEach(([px, py], j) => {
            near(x(px), data[i]![j]!.x, x(1) - x(0));
            near(y(py), data[i]![j]!.y, y(1) - y(0));
          });
        });
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("logarithmic axes, bands, gaps and bounds are drawn where the data say", () => {
  const points = [[10, 8], [100, 4], [1000, NaN], [10000, 2], [100000, 1]]
    .map(([x, y]) => ({ x: x!, y: y!, low: y! / 2, high: y! * 2 }));
  const document = parse(lineChart([{ name: "loss", points }], { x: { log: true }, y: { log: true } }).svg);
  const [x, y] = [axis(document, "x", true), axis(document, "y", true)];
  const [{ line, band }] = lines(document) as [ReturnType<typeof lines>[number]];
  const shown = points.filter((point) => !Number.isNaN(point.y));
  const close = (found: number, expected: number) =>
    assert.ok(Math.abs(found / expected - 1) < 1e-3, `${found} ${expected}`);
  line.forEach(([px, py], i) => {
    close(x(px), shown[i]!.x);
    close(y(py), shown[i]!.y);
  });
  assert.equal(line.length, 4);
  const upper = band.slice(0, 4);
  assert.ok(
    upper.every(([, py], i) => Math.abs(y(py) / shown[i]!.high - 1) < 1e-3) ||
      upper.every(([, py], i) => Math.abs(y(py) / shown[i]!.low - 1) < 1e-3),
  );
  const path = all(document, "path").find((path) => path.hasAttribute("stroke-linejoin"))!.getAttribute("d")!;
  assert.equal(path.match(/M/g)!.length, 2); // the gap parts it

  const cut = parse(lineChart([{ name: "loss", points }], { y: { min: 3, max: 5 } }).svg);
  assert.equal(
    all(cut, "svg").find((svg) => svg.hasAttribute("overflow"))!.getAttribute("overflow"),
    "hidden",
  );
  const scale = axis(cut, "y");
  assert.ok(Math.abs(scale(lines(cut)[0]!.line[1]![1]) - 4) < 0.01);
});

Deno.test("bars begin at zero and points do not; spread and seeds stand at their values", () => {
  const bars = [
    { name: "adamw", value: 1.52, low: 1.5, high: 1.55, dots: [1.5, 1.51, 1.55] },
    { name: "lion", value: 1.8 },
    { name: "none", value: NaN },
  ];
  const drawn = parse(barChart(bars).svg);
  const x = axis(drawn, "x");
  const solid = all(drawn, "rect").filter((rect) => rect.getAttribute("fill-opacity") === "0.55");
  assert.equal(solid.length, 2);
  solid.forEach((rect, i) => {
    near(x(number(rect, "x")), 0, x(1) - x(0));
    near(x(number(rect, "x") + number(rect, "width")), bars[i]!.value, x(1) - x(0));
  });
  const dots = all(drawn, "circle").map((circle) => x(number(circle, "cx")));
  dots.forEach((dot, i) => near(dot, bars[0]!.dots![i]!, x(1) - x(0)));
  assert.equal(dots.length, 3);

  const points = parse(barChart(bars, { kind: "points" }).svg);
  const fitted = axis(points, "x");
  const filled = all(points, "circle").filter((circle) => circle.getAttribute("r") === "5");
  filled.forEach((circle, i) => near(fitted(number(circle, "cx")), bars[i]!.value, fitted(1) - fitted(0)));
  const whisker = all(points, "path").map((path) =>
    path.getAttribute("d")!.match(/^M([\d.]+),[\d.]+H([\d.]+)/)!
  );
  near(fitted(Number(whisker[0]![1])), 1.5, fitted(1) - fitted(0));
  near(fitted(Number(whisker[0]![2])), 1.55, fitted(1) - fitted(0));
  assert.ok(fitted(0) > 0.5, "the axis of points begins where the data do");
});

Deno.test("a heatmap's cells have their places and colours, and what is not a number has none", () => {
  const values = [[0, NaN, NaN], [0.25, 0.75, NaN], [0.1, 0.2, 1]];
  const chart = heatmap(values, {
    rows: ["a", "b", "c"],
    columns: ["a", "b", "c"],
    domain: [0, 1],
    cell_height: 20,
  });
  const found = new Map<string, string>();
  for (const path of all(parse(chart.svg), "path")) {
    for (
      const [, x, y, right, bottom] of path.getAttribute("d")!.matchAll(
        /M([\d.]+),([\d.]+)H([\d.]+)V([\d.]+)/g,
      )
    ) {
      const size = Number(right) - Number(x);
      assert.ok(Math.abs(Number(bottom) - Number(y) - 20) < 0.01);
      found.set(`${Math.round(Number(y) / 20)},${Math.round(Number(x) / size)}`, path.getAttribute("fill")!);
    }
  }
  const expected = values.flatMap((row, i) =>
    row.flatMap((value, j) =>
      Number.isNaN(value)
        ? []
        : [[`${i},${j}`, levelColour(Math.min(LEVELS - 1, Math.floor(value * LEVELS)))]]
    )
  );
  assert.deepEqual([...found].sort(), expected.sort());
  assert.match(
    chart.description,
    /3 by 3 cells.*Largest: 1 at row a, column a|Largest: 1 at row c, column c/,
  );
});

Deno.test("attention is a map for each head, in which no token sees what comes after it", () => {
  const heads = [[[1, 0], [0.25, 0.75]], [[1, 0], [0, 1]]].map((head) =>
    head.map((row) => Float32Array.from(row))
  );
  const chart = attentionChart({ layer: 3, tokens: ["a", " b"], heads });
  const maps = all(parse(chart.svg), "svg");
  assert.deepEqual(maps.map((map) => all(map, "title")[0]!.textContent), [
    "Attention of layer 3",
    "head 0",
    "head 1",
  ]);
  const counts = maps.slice(1).map((map) =>
    all(map, "path").reduce((sum, path) => sum + path.getAttribute("d")!.match(/M/g)!.length, 0)
  );
  assert.deepEqual(counts, [3, 3]);
  assert.ok(all(maps[1]!, "text").some((text) => text.textContent === "␣b"));
});

Deno.test("names are text: nothing that they hold becomes markup, breaks the picture or goes lost", () => {
  const series = HOSTILE.map((name, i) => ({ name, points: [{ x: 0, y: i }, { x: 1, y: i }] }));
  const charts: Chart[] = HOSTILE.flatMap((name) => [
    lineChart(series, {
      title: name,
      description: name,
      x: { label: name },
      y: { label: name },
      marks: [{ x: 0.5, label: name }],
    }),
    barChart(HOSTILE.map((name) => ({ name, value: 1 })), { title: name, value: { label: name } }),
    heatmap([[1, 2], [3, 4]], {
      title: name,
      rows: HOSTILE,
      columns: HOSTILE,
      x: { label: name },
      y: { label: name },
    }),
  ]);
  const allowed = new Set(["svg", "title", "desc", "style", "rect", "g", "path", "line", "text", "circle"]);
  for (const chart of [...charts, sideBySide(charts, { title: HOSTILE[0]!, columns: 3 })]) {
    const elements = all(parse(chart.svg), "*");
    assert.deepEqual(
      [...new Set(elements.map((element) => element.tagName))].filter((tag) => !allowed.has(tag)),
      [],
    );
    const attributes = elements.flatMap((element) => Array.from(element.attributes, ({ name }) => name));
    assert.deepEqual(attributes.filter((name) => /^on|href|^id$/.test(name)), []);
  }
  const titles = all(parse(charts[0]!.svg), "title").map((title) => title.textContent);
  assert.ok(titles.includes("<script>alert(1)</script>"));
});

Deno.test("any name and any numbers give a picture that parses", () => {
  const any = fc.oneof(fc.double(), fc.constantFrom(NaN, Infinity, -Infinity, 0, -0, 5e-324, 1.7e308));
  const name = fc.string({ unit: "binary" });
  const oneSeries: fc.Arbitrary<Series> = fc.record({
    name,
    points: fc.array(fc.record({ x: any, y: any, low: any, high: any }), { maxLength: 8 }),
  });
  fc.assert(
    fc.property(fc.array(oneSeries, { maxLength: 3 }), fc.boolean(), name, (series, log, title) => {
      const charts = [
        lineChart(series, { title, x: { log }, y: { log } }),
        barChart(
          series.flatMap(({ name, points }) =>
            points.map(({ y, low, high }) => ({ name, value: y, low: low!, high: high! }))
          ),
          {
            value: { log },
          },
        ),
        heatmap(series.map(({ points }) => points.map(({ y }) => y)), {
          rows: series.map(({ name }) => name),
        }),
      ];
      const geometry = [
        "x",
        "y",
        "x1",
        "y1",
        "x2",
        "y2",
        "cx",
        "cy",
        "d",
        "width",
        "height",
        "transform",
        "viewBox",
      ];
      for (const { svg } of charts) {
        for (const element of all(parse(svg), "*")) {
          for (const key of geometry) {
            assert.doesNotMatch(element.getAttribute(key) ?? "", /NaN|Infinity|undefined/);
          }
        }
      }
    }),
    { numRuns: 100 },
  );
});

Deno.test("the same data gives the same bytes, and a chart says what it shows", () => {
  const draw = () =>
    lineChart([{ name: "a", points: [{ x: 1, y: 4.2 }, { x: 2, y: 1 / 3 }] }], {
      title: "Loss",
      x: { label: "step" },
    });
  const chart = draw();
  assert.equal(chart.svg, draw().svg);
  assert.equal(String(chart), chart.svg);
  const root = parse(chart.svg).documentElement!;
  assert.equal(root.getAttribute("role"), "img");
  assert.equal(
    root.getAttribute("aria-label"),
    "Loss. Lines of y over step. a: 2 points, 4.2 at 1 to 0.3333 at 2.",
  );
  assert.equal(all(root, "title")[0]!.textContent, "Loss");
  const display = chart as unknown as Record<symbol, () => Record<string, string>>;
  assert.deepEqual(display[Symbol.for("Jupyter.display")]!(), {
    "image/svg+xml": chart.svg,
    "text/plain": chart.description,
  });
});

Deno.test("long series are thinned to what can be seen: ends and extremes of every column stay", () => {
  const points = Array.from(
    { length: 50_000 },
    (_, i) => ({ x: i / 100, y: Math.sin(i) * Math.cos(i / 999) * 100 }),
  );
  points[12_345]!.y = 5000;
  points[30_000]!.y = NaN;
  const kept = thinned(points);
  assert.ok(kept.length < 4500, `${kept.length} points`);
  assert.deepEqual([kept[0], kept.at(-1)], [points[0], points.at(-1)]);
  assert.ok(kept.includes(points[12_345]!) && kept.includes(points[30_000]!));
  const columns = (list: readonly { x: number; y: number }[]) => {
    const map = new Map<number, [number, number]>();
    for (const { x, y } of list) {
      if (Number.isNaN(y)) continue;
      const [low, high] = map.get(Math.floor(x * 2)) ?? [Infinity, -Infinity];
      map.set(Math.floor(x * 2), [Math.min(low, y), Math.max(high, y)]);
    }
    return map;
  };
  assert.deepEqual(columns(kept), columns(points));
  assert.ok(lineChart([{ name: "long", points }]).svg.length < 100_000);
});

Deno.test("colours stand out from the page at 3:1, text at 7:1, on light and dark", () => {
  // Contrast and relative luminance by WCAG 2.2.
  const luminance = (hex: string) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
      .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
  };
  const contrast = (a: string, b: string) => {
    const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (high! + 0.05) / (low! + 0.05);
  };
  for (const theme of ["light", "dark"] as const) {
    assert.ok(contrast(INK[theme], PAPER[theme]) >= 7);
    for (const colour of SERIES) {
      assert.ok(
        contrast(colour[theme], PAPER[theme]) >= 3,
        `${colour[theme]}: ${contrast(colour[theme], PAPER[theme])}`,
      );
    }
  }
});

Deno.test("lines of metrics become series, and series of seeds their mean and spread", () => {
  const lines = [
    { step: 1, tokens: 8, train_loss: 4 },
    { step: 1, tokens: 8, val_loss: 3.5 },
    { step: 2, tokens: 16, train_loss: null },
  ];
  assert.deepEqual(seriesOf(lines, "train_loss", { x: "tokens", name: "seed 1" }), {
    name: "seed 1",
    points: [{ x: 8, y: 4 }, { x: 16, y: NaN }],
  });
  const series = { train_loss: { step: [1, 2], time: [5, 6], tokens: [8, 16], value: [4, NaN] } };
  assert.deepEqual(seriesOf(series, "train_loss", { x: "tokens" }).points, [{ x: 8, y: 4 }, {
    x: 16,
    y: NaN,
  }]);
  assert.deepEqual(seriesOf(series, "val_loss").points, []);
  const seeds = [[4, 2, 1], [6, 3], [5, 4, 3]].map((ys) => ({
    name: "",
    points: ys.map((y, x) => ({ x, y })),
  }));
  assert.deepEqual(spreadOf("mean", seeds), {
    name: "mean",
    points: [{ x: 0, y: 5, low: 4, high: 6 }, { x: 1, y: 3, low: 2, high: 4 }],
  });
});

Deno.test("a table is HTML, Markdown and text, and its cells are text", () => {
  const rows = [{ name: "<b>a|b</b>", loss: 1.23456789 }, {
    name: "two\nlines",
    loss: null,
    extra: { k: 1 },
  }];
  const shown = table(rows);
  const parsed = new DOMParser().parseFromString(shown.html, "text/xml");
  assert.deepEqual(all(parsed, "td").map((cell) => cell.textContent), [
    "<b>a|b</b>",
    "1.2346",
    "",
    "two\nlines",
    "",
    '{"k":1}',
  ]);
  assert.equal(shown.markdown.split("\n")[2], "| \\<b\\>a\\|b\\</b\\> | 1.2346 |  |");
  assert.equal(String(table(rows, ["loss", "name"])), "loss    name\n1.2346  <b>a|b</b>\n        two lines");
  const display = shown as unknown as Record<symbol, () => Record<string, string>>;
  assert.deepEqual(Object.keys(display[Symbol.for("Jupyter.display")]!()), [
    "text/html",
    "text/markdown",
    "text/plain",
  ]);
});
