/** The script of docs/tracking.md runs as it stands. */

import assert from "assert";
import { join } from "path";
import { listRuns } from "../../experiments/mod.ts";
import { ROOT } from "../house/files.ts";

Deno.test("the script of docs/tracking.md writes and finds its run", async () => {
  const page = await Deno.readTextFile(join(ROOT, "docs/tracking.md"));
  const [, script] = /```ts\n([\s\S]*?)```/.exec(page)!;
  const dir = await Deno.makeTempDir();
  try {
    const file = join(dir, "script.ts");
    await Deno.writeTextFile(file, script!.replace("./mod.ts", import.meta.resolve("../../mod.ts")));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--config", join(ROOT, "deno.json"), file],
      cwd: dir,
      env: { INIT_CWD: dir, NO_COLOR: "1" },
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    assert.match(new TextDecoder().decode(stdout), /^parabola_\S+ 50 \S+\n$/);
    const [run] = await listRuns(join(dir, "runs"));
    assert.deepEqual([run!.state, run!.tags, run!.metrics.by_name.loss!.count], ["completed", ["toy"], 50]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
