/** The page's modules without a browser: that the program carries each, and what their pure parts compute. */

import assert from "assert";
import { join } from "path";
import { ASSETS, DOCUMENT, findAsset } from "../../experiments/dashboard/assets.ts";
import { axisOf, differingKeys } from "../../experiments/dashboard/page/differences.js";
import * as format from "../../experiments/dashboard/page/format.js";
import { meanAndDeviation } from "../../experiments/dashboard/page/statistics.js";
import { ROOT } from "../house/files.ts";

Deno.test("every module and library that the page imports is carried by the program, and nothing else is", () => {
  const { imports } = JSON.parse(/<script type="importmap">(.*?)<\/script>/.exec(DOCUMENT.text)![1]!);
  const used = new Set<unknown>();
  const use = (address: string, what: string) => {
    const found = findAsset(address);
    assert.ok(found !== undefined, what);
    used.add(found.asset);
  };
  use("/assets/main.js", "the page's first module");
  for (const [path, { text, type }] of ASSETS) {
    if (!type.includes("javascript")) continue;
    for (const [, name] of text.matchAll(/(?:from|import)\s*"([^"\s]+)"/g)) {
      if (name!.startsWith("./")) use(new URL(name!, `http://x${path}`).pathname, `${path} imports ${name}`);
      else use(imports[name!], `${path} imports ${name}`);
    }
  }
  for (const [, target] of DOCUMENT.text.matchAll(/(?:href|src)="([^"]+)"/g)) {
    use(target!, target!);
    assert.ok(findAsset(target!)!.isFixed, `${target} stands for its content`);
  }
  assert.deepEqual([...ASSETS].filter(([, asset]) => !used.has(asset)).map(([path]) => path), []);
  const onDisk = Array.from(Deno.readDirSync(join(ROOT, "experiments/dashboard/page")), ({ name }) => name);
  assert.deepEqual(onDisk.filter((name) => name !== "index.html" && !ASSETS.has(`/assets/${name}`)), []);
});

Deno.test("an address of the document without its digest's folder, or with another, holds nothing that stays", () => {
  const fixed = /src="(\/assets\/[0-9a-f]{24}\/main\.js)"/.exec(DOCUMENT.text)![1]!;
  assert.equal(findAsset(fixed)!.asset, ASSETS.get("/assets/main.js"));
  assert.deepEqual(findAsset("/assets/main.js"), { asset: ASSETS.get("/assets/main.js")!, isFixed: false });
  assert.equal(findAsset(fixed.replace(/[0-9a-f]{24}/, "0".repeat(24))), undefined);
  assert.equal(findAsset(fixed.replace("main.js", "../main.js")), undefined);
});

Deno.test("no module of the page makes markup of text, or runs text", () => {
  for (const [path, { text }] of ASSETS) {
    if (path.startsWith("/assets/lib/") || !path.endsWith(".js")) continue;
    assert.doesNotMatch(
      text,
      /innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|eval\(|new Function/,
      path,
    );
    assert.doesNotMatch(text, /https?:\/\/(?!x)/, path);
  }
});

Deno.test("differingKeys() finds what configurations do not share", () => {
  assert.deepEqual(
    differingKeys([{ a: 1, b: [1, 2], c: null, "tracking.name": "x" }, {
      a: 1,
      b: [1, 3],
      d: 0,
      "tracking.name": "y",
    }]),
    ["b", "c", "d"],
  );
  assert.deepEqual(differingKeys([{ a: 1 }]), []);
});

Deno.test("an axis of parallel coordinates places numbers by size, wide ranges by logarithm, the rest by name", () => {
  const linear = axisOf([1, 3, 2]);
  assert.deepEqual([linear.at(1), linear.at(2), linear.at(3), linear.at("x"), linear.at(undefined)], [
    0,
    0.5,
    1,
    undefined,
    undefined,
  ]);
  const wide = axisOf([1e-4, 1e-2, null]);
  assert.ok(wide.isLog);
  assert.ok(Math.abs(wide.at(1e-3)! - 0.5) < 1e-12);
  const names = axisOf(["relu", "gelu", true, ["c"]]);
  assert.deepEqual(names.ticks.map(([, value]) => value), ["gelu", "relu", ["c"], true]);
  assert.deepEqual([axisOf([5]).at(5), axisOf(["a"]).at("a")], [0.5, 0.5]);
});

Deno.test("numbers, sizes and times are written as people read them", () => {
  assert.deepEqual([0, 4000, 2.16659, 0.0006069, 123456.789, 1.5e9, NaN, null].map(format.number), [
    "0",
    "4000",
    "2.167",
    "6.07e-4",
    "123460",
    "1.5e9",
    "NaN",
    "–",
  ]);
  assert.deepEqual([950, 1234, 999_999, 8.59e7].map(format.count), ["950", "1.23k", "1M", "85.9M"]);
  assert.deepEqual([512, 1536, 2 ** 31].map(format.bytes), ["512 B", "1.5 KiB", "2 GiB"]);
  assert.deepEqual([0.346, 42, 185, 7620, 273_600, NaN].map(format.duration), [
    "0.35s",
    "42s",
    "3m 05s",
    "2h 07m",
    "3d 04h",
    "–",
  ]);
  assert.equal(format.time("<b>"), "<b>");
});

Deno.test("meanAndDeviation() is that of a sample", () => {
  assert.deepEqual(meanAndDeviation([2, 4, 6]), { mean: 4, deviation: 2 });
  assert.deepEqual(meanAndDeviation([2]), { mean: 2, deviation: null });
  assert.deepEqual(meanAndDeviation([]), { mean: null, deviation: null });
});
