/** The setup step's decisions, and that it finds an adapter on the machine that runs the tests. */

import assert from "assert";
import { adapterEnvironment, setAdapterEnvironment } from "../../gpu/adapter_environment.ts";
import { ensureAdapter, probeAdapter } from "../../gpu/adapter_setup.ts";
import { driverAdvice, parseOsRelease } from "../../gpu/driver_packages.ts";
import { ROOT } from "../house/files.ts";

Deno.test("adapterEnvironment() chooses Vulkan, 512 bits and a cache of that width on Linux with AVX-512", () => {
  const decided = adapterEnvironment({ os: "linux", env: { HOME: "/home/ada" }, hasAvx512: true });
  assert.deepEqual(decided, {
    set: { DENO_WEBGPU_BACKEND: "vulkan", XDG_RUNTIME_DIR: "/tmp", LP_NATIVE_VECTOR_WIDTH: "512" },
    shaderCaches: ["/home/ada/.cache/chatgot/mesa-512"],
  });
});

Deno.test("adapterEnvironment() leaves the width and Mesa's cache alone without AVX-512", () => {
  const decided = adapterEnvironment({ os: "linux", env: { HOME: "/home/ada" }, hasAvx512: false });
  assert.equal(decided.set.LP_NATIVE_VECTOR_WIDTH, undefined);
  assert.equal(decided.shaderCaches, undefined);
});

Deno.test("adapterEnvironment() overrides nothing that the user has set", () => {
  const env = {
    DENO_WEBGPU_BACKEND: "gl",
    XDG_RUNTIME_DIR: "/run/user/1000",
    LP_NATIVE_VECTOR_WIDTH: "128",
    MESA_SHADER_CACHE_DIR: "/var/cache/mesa",
  };
  assert.deepEqual(adapterEnvironment({ os: "linux", env, hasAvx512: true }), {
    set: {},
    shaderCaches: undefined,
  });
});

Deno.test("adapterEnvironment() gives a width that the user chose a cache of its own", () => {
  const env = { HOME: "/home/ada", XDG_CACHE_HOME: "/scratch/ada", LP_NATIVE_VECTOR_WIDTH: "256" };
  assert.deepEqual(adapterEnvironment({ os: "linux", env, hasAvx512: true }).shaderCaches, [
    "/scratch/ada/chatgot/mesa-256",
    "/home/ada/.cache/chatgot/mesa-256",
  ]);
});

Deno.test("adapterEnvironment() sets nothing outside Linux", () => {
  for (const os of ["darwin", "windows"] as const) {
    assert.deepEqual(adapterEnvironment({ os, env: {}, hasAvx512: true }), {
      set: {},
      shaderCaches: undefined,
    });
  }
});

Deno.test("setAdapterEnvironment() changes nothing when it is called again", () => {
  setAdapterEnvironment();
  const once = Deno.env.toObject();
  setAdapterEnvironment();
  assert.deepEqual(Deno.env.toObject(), once);
});

Deno.test("parseOsRelease() reads quoted and bare values and skips the rest", () => {
  const text = "# comment\nID=fedora\nNAME=\"Fedora Linux\"\nID_LIKE='rhel fedora'\n\nnonsense\n";
  assert.deepEqual(parseOsRelease(text), { ID: "fedora", NAME: "Fedora Linux", ID_LIKE: "rhel fedora" });
});

Deno.test("driverAdvice() names the exact command of each family of Linux", () => {
  const command = (text: string, isRoot = true) => driverAdvice("linux", text, isRoot).commands.join(" && ");
  const apt = "apt-get update && apt-get install -y libvulkan1 mesa-vulkan-drivers";
  assert.equal(command("ID=debian"), apt);
  assert.equal(command('ID=linuxmint\nID_LIKE="ubuntu debian"'), apt);
  assert.equal(
    command('ID="rocky"\nID_LIKE="rhel centos fedora"'),
    "dnf install -y vulkan-loader mesa-vulkan-drivers",
  );
  assert.equal(command("ID=arch"), "pacman -S --needed vulkan-icd-loader vulkan-swrast");
  assert.equal(command("ID=alpine"), "apk add vulkan-loader mesa-vulkan-swrast");
  assert.equal(
    command("ID=debian", false),
    "sudo apt-get update && sudo apt-get install -y libvulkan1 mesa-vulkan-drivers",
  );
  assert.match(driverAdvice("linux", "ID=debian", true).hint, /apt-get update && apt-get install/);
});

Deno.test("driverAdvice() advises without a command where it knows none", () => {
  for (const [os, text] of [["linux", ""], ["linux", "ID=nixos"], ["darwin", ""], ["windows", ""]] as const) {
    const advice = driverAdvice(os, text, false);
    assert.deepEqual(advice.commands, []);
    assert.ok(advice.hint.length > 20, advice.hint);
  }
});

Deno.test("ensureAdapter() finds the adapter and logs nothing where there is one", async () => {
  const lines: string[] = [];
  const name = await ensureAdapter({ log: (line) => lines.push(line) });
  assert.deepEqual(lines, []);
  assert.equal(name, await probeAdapter());
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  assert.equal(adapter?.info.description, name);
});

Deno.test({
  name: "ensureAdapter() says in one line what to type where there is no driver and none may be installed",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const script = `
      import { ensureAdapter } from "./gpu/adapter_setup.ts";
      try { await ensureAdapter(); } catch (error) { console.log(error.name, error.describe()); }`;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-prompt", "--allow-read", "--allow-env", "--ext=ts", "-"],
      cwd: ROOT,
      env: { VK_ICD_FILENAMES: "/nonexistent.json", VK_DRIVER_FILES: "/nonexistent.json" },
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const stdin = child.stdin.getWriter();
    await stdin.write(new TextEncoder().encode(script));
    await stdin.close();
    const { stdout } = await child.output();
    assert.match(new TextDecoder().decode(stdout), /^UserError no WebGPU adapter was found \(.+\)\n$/);
  },
});
