/** Ctrl-C, sent to a real process. */

import assert from "assert";

/** Runs a program that prints what arrives, sends it signals with pauses between, and returns what it printed. */
async function send(...signals: (Deno.Signal | number)[]): Promise<string[]> {
  const script = `
    import { onInterrupt } from "${import.meta.resolve("../../common/interrupt.ts")}";
    onInterrupt(() => console.log("first"), () => { console.log("second"); Deno.exit(130); });
    setInterval(() => {}, 1000);
    console.log("ready");`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-config", "--ext=ts", `data:text/typescript,${encodeURIComponent(script)}`],
    stdout: "piped",
  }).spawn();
  let out = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    const isReady = !out.includes("ready");
    out += chunk;
    if (!isReady) continue;
    for (const signal of signals) {
      if (typeof signal === "number") await new Promise((resolve) => setTimeout(resolve, signal));
      else child.kill(signal);
    }
  }
  assert.equal((await child.status).code, 130);
  return out.trim().split("\n");
}

Deno.test({
  name: "one press that arrives several times is one, a later one is the second",
  ignore: Deno.build.os === "windows",
  async fn() {
    assert.deepEqual(await send("SIGINT", 5, "SIGINT", 5, "SIGINT", 600, "SIGINT"), [
      "ready",
      "first",
      "second",
    ]);
  },
});

Deno.test({
  name: "SIGTERM counts as a press",
  ignore: Deno.build.os === "windows",
  async fn() {
    assert.deepEqual(await send("SIGTERM", 600, "SIGINT"), ["ready", "first", "second"]);
  },
});
