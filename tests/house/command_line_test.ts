/** The command line as a user meets it: what goes to which stream, exit codes, and helpful errors. */

import assert from "assert";
import * as path from "path";
import config from "../../deno.json" with { type: "json" };
import { ROOT } from "./files.ts";

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

async function chatgot(...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "mod.ts", ...args],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  }).output();
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
}

Deno.test("--version prints the version of deno.json and --help lists the commands", async () => {
  assert.deepEqual(await chatgot("--version"), { code: 0, stdout: `${config.version}\n`, stderr: "" });
  const help = await chatgot("--help");
  assert.equal(help.code, 0);
  assert.match(help.stdout, /prepare/);
  assert.equal(help.stderr, "");
  const own = await chatgot("prepare", "--help");
  assert.equal(own.code, 0);
  assert.match(own.stdout, /--corpus/);
});

Deno.test("a mistyped command or option is one line with what was meant, and exit code 1", async () => {
  assert.deepEqual(await chatgot("preprae"), {
    code: 1,
    stdout: "",
    stderr: "error: unknown command 'preprae' (did you mean prepare?)\n",
  });
  assert.deepEqual(await chatgot("prepare", "--crpus", "x"), {
    code: 1,
    stdout: "",
    stderr: "error: unknown option '--crpus' (did you mean --corpus?)\n",
  });
  const missing = await chatgot("prepare", "--corpus");
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /^error: option '--corpus .*' argument missing \(.+\)\n$/);
});

Deno.test("a user's error is one line on standard error", async () => {
  const { code, stdout, stderr } = await chatgot("prepare", "--corpus", "/no/such/book.txt");
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /^error: \/no\/such\/book\.txt: .+\n$/);
});

Deno.test("with --json an error is one object on standard output and nothing else", async () => {
  for (
    const args of [["prepare", "--json", "--corpus", "/no/such/book.txt"], ["prepare", "--crpus", "--json"]]
  ) {
    const { code, stdout, stderr } = await chatgot(...args);
    assert.equal(code, 1);
    assert.equal(stderr, "");
    const { error, ...rest } = JSON.parse(stdout);
    assert.deepEqual(rest, {});
    assert.deepEqual(Object.keys(error).sort(), ["file", "hint", "line", "message"]);
    assert.equal(typeof error.message, "string");
  }
});

Deno.test({
  name: "scripts/chatgot works from another folder and through a link, and paths start where the user stands",
  ignore: Deno.build.os === "windows",
  async fn() {
    const folder = await Deno.realPath(await Deno.makeTempDir());
    try {
      await Deno.symlink(path.join(ROOT, "scripts/chatgot"), path.join(folder, "chatgot"));
      await Deno.writeTextFile(path.join(folder, "bad.yaml"), "data:\n  corpse: moby-dick\n");
      const { code, stdout, stderr } = await new Deno.Command(path.join(folder, "chatgot"), {
        args: ["prepare", "--config-path", "bad.yaml"],
        cwd: folder,
        env: { NO_COLOR: "1" },
      }).output();
      assert.equal(code, 1);
      assert.equal(decode(stdout), "");
      assert.match(decode(stderr), /^error: bad\.yaml:2: .*corpse/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
