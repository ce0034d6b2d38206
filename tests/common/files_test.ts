/** Files that are whole or not there, and what the system's refusals read like. */

import assert from "assert";
import * as nodePath from "path";
import {
  decodeUtf8,
  displayPath,
  exists,
  fileError,
  readJson,
  readText,
  UserError,
  userPath,
  writeFileAtomic,
  writeFileSynced,
  writeFolderAtomic,
} from "../../common/mod.ts";

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const names = async (folder: string) =>
  (await Array.fromAsync(Deno.readDir(folder), (entry) => entry.name)).sort();

Deno.test("writeFileAtomic() makes folders, replaces content and leaves nothing else behind", () =>
  withFolder(async (folder) => {
    const path = nodePath.join(folder, "a", "b", "state.json");
    await writeFileAtomic(path, "first");
    await writeFileAtomic(path, new TextEncoder().encode("second, longer: é"));
    assert.equal(await Deno.readTextFile(path), "second, longer: é");
    assert.deepEqual(await names(nodePath.dirname(path)), ["state.json"]);
  }));

Deno.test("writeFileAtomic() reports a file where a folder should be, and leaves the file", () =>
  withFolder(async (folder) => {
    const file = nodePath.join(folder, "runs");
    await Deno.writeTextFile(file, "mine");
    for (const path of [nodePath.join(file, "x.json"), nodePath.join(file, "deeper", "x.json")]) {
      await assert.rejects(
        writeFileAtomic(path, "x"),
        (e) => e instanceof UserError && /file stands where a folder should be/.test(e.message),
      );
    }
    assert.equal(await Deno.readTextFile(file), "mine");
  }));

Deno.test("writeFileAtomic() onto a folder is a UserError and leaves no temporary file", () =>
  withFolder(async (folder) => {
    const path = nodePath.join(folder, "taken");
    await Deno.mkdir(nodePath.join(path, "inside"), { recursive: true });
    await assert.rejects(writeFileAtomic(path, "x"), UserError);
    assert.deepEqual(await names(folder), ["taken"]);
  }));

Deno.test({
  name: "a full disk is a UserError that says so",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await assert.rejects(
      writeFileSynced("/dev/full", "x"),
      (e) => e instanceof UserError && e.message === "the disk is full" && e.file === "/dev/full",
    );
  },
});

Deno.test("a folder without write permission is a UserError that says so", () =>
  withFolder(async (folder) => {
    const file = nodePath.join(folder, "x");
    const saysSo = (e: unknown) => e instanceof UserError && /no permission to write/.test(e.message);
    if (Deno.build.os === "windows" || Deno.uid() === 0) { // here modes stop nobody: the system's answer is made up
      assert.ok(saysSo(fileError(new Deno.errors.PermissionDenied("(os error 13)"), file, "write")));
      return;
    }
    await Deno.chmod(folder, 0o500);
    await assert.rejects(writeFileAtomic(file, "x"), saysSo);
    await Deno.chmod(folder, 0o700);
  }));

Deno.test({
  name: "a permission that Deno was not given is a UserError that names the flag",
  permissions: { write: false, env: true, read: true },
  fn: async () => {
    await assert.rejects(
      writeFileAtomic("nowhere.txt", "x"),
      (e) => e instanceof UserError && /--allow-write/.test(e.hint ?? ""),
    );
  },
});

Deno.test("fileError() leaves what is not about files as it was", () => {
  const fault = new TypeError("ours");
  assert.equal(fileError(fault, "x"), fault);
  assert.equal(fileError("text", "x"), "text");
  const denied = fileError(new Deno.errors.PermissionDenied("os error 13"), "x");
  assert(denied instanceof UserError && /no permission to read/.test(denied.message));
});

Deno.test("writeFolderAtomic() replaces a folder whole; a failure leaves the old one and nothing more", () =>
  withFolder(async (folder) => {
    const path = nodePath.join(folder, "dataset");
    const fill = (text: string) => (temporary: string) =>
      writeFileSynced(nodePath.join(temporary, text), text);
    await writeFolderAtomic(path, fill("one"));
    await writeFolderAtomic(path, fill("two"));
    assert.deepEqual(await names(path), ["two"]);
    await assert.rejects(
      writeFolderAtomic(path, async (temporary) => {
        await fill("three")(temporary);
        throw new Error("half way");
      }),
      /half way/,
    );
    await assert.rejects(
      writeFolderAtomic(path, (temporary) => writeFileSynced(nodePath.join(temporary, "no", "x"), "x")),
      (e) => e instanceof UserError && e.file === displayPath(nodePath.join(path, "no", "x")),
      "the error names the place that was meant, not the temporary one",
    );
    assert.deepEqual(await names(path), ["two"]);
    assert.deepEqual(await names(folder), ["dataset"]);
  }));

Deno.test("writeFolderAtomic() by several at once ends with one whole folder", () =>
  withFolder(async (folder) => {
    const path = nodePath.join(folder, "dataset");
    await Promise.all(Array.from({ length: 4 }, (_, i) =>
      writeFolderAtomic(path, async (temporary) => {
        await writeFileSynced(nodePath.join(temporary, "a"), String(i));
        await writeFileSynced(nodePath.join(temporary, "b"), String(i));
      })));
    assert.equal(await readText(nodePath.join(path, "a")), await readText(nodePath.join(path, "b")));
    assert.deepEqual(await names(path), ["a", "b"]);
  }));

Deno.test("a process killed while it writes leaves a whole file", () =>
  withFolder(async (folder) => {
    const path = nodePath.join(folder, "state.json");
    const files = new URL("../../common/files.ts", import.meta.url).href;
    const script = `
      import { writeFileAtomic } from ${JSON.stringify(files)};
      for (let i = 0;; i++) await writeFileAtomic(Deno.args[0], JSON.stringify(Array(50000).fill(i)));`;
    const scriptPath = nodePath.join(folder, "write.ts");
    await Deno.writeTextFile(scriptPath, script);
    const config = nodePath.join(import.meta.dirname!, "..", "..", "deno.json");
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--config", config, scriptPath, path],
      stdout: "null",
      stderr: "null",
    }).spawn();
    for (let i = 0; i < 400 && !await exists(path); i++) await new Promise((done) => setTimeout(done, 25));
    await new Promise((done) => setTimeout(done, 137));
    child.kill("SIGKILL");
    await child.status;
    const value = await readJson(path) as number[];
    assert.equal(value.length, 50000);
    assert.equal(new Set(value).size, 1);
  }));

Deno.test("readJson() names the line that is wrong", () =>
  withFolder(async (folder) => {
    const path = nodePath.join(folder, "bad.json");
    const cases: [string, number][] = [['{\n  "a": 1,\n  oops\n}', 3], ['{\n  "a": 1', 2], ["", 1]];
    for (const [text, line] of cases) {
      await Deno.writeTextFile(path, text);
      await assert.rejects(
        readJson(path),
        (e) => e instanceof UserError && e.line === line && /JSON/.test(e.message),
      );
    }
    await assert.rejects(
      readJson(path + "x"),
      (e) => e instanceof UserError && /no such file/.test(e.message),
    );
  }));

Deno.test("decodeUtf8() drops a byte order mark and names the line of a bad byte", () => {
  assert.equal(decodeUtf8(new Uint8Array([0xef, 0xbb, 0xbf, 0x61]), "x"), "a");
  const latin1 = new Uint8Array([0x61, 0x0a, 0x62, 0xe9, 0x0a]);
  assert.throws(
    () => decodeUtf8(latin1, "x.txt"),
    (e) => e instanceof UserError && e.file === "x.txt" && e.line === 2 && /UTF-8/.test(e.message),
  );
});

Deno.test("userPath() starts at INIT_CWD if that is set, and displayPath() undoes it", () => {
  const before = Deno.env.get("INIT_CWD");
  try {
    const here = nodePath.resolve("/", "somewhere", "else");
    Deno.env.set("INIT_CWD", here);
    assert.equal(userPath("runs/a"), nodePath.join(here, "runs", "a"));
    assert.equal(displayPath(nodePath.join(here, "runs", "a")), nodePath.join("runs", "a"));
    assert.equal(displayPath(here), ".");
    const outside = nodePath.resolve("/", "other");
    assert.equal(displayPath(outside), outside);
    Deno.env.delete("INIT_CWD");
    assert.equal(userPath("runs"), nodePath.join(Deno.cwd(), "runs"));
  } finally {
    if (before === undefined) Deno.env.delete("INIT_CWD");
    else Deno.env.set("INIT_CWD", before);
  }
});
