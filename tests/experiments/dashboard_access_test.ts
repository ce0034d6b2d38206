/** What the dashboard turns away, request by request, and that what it lets pass is bound by its policy. */

import assert from "assert";
import { join } from "path";
import { serveDashboard } from "../../experiments/mod.ts";
import { placeRun, raw, withDashboard } from "./dashboard_support.ts";

const SECRET = "what nobody may see";

Deno.test("requests under another host's name are refused, whatever they ask for", () =>
  withDashboard(async ({ port, runs }) => {
    await placeRun(runs, "tiny");
    const others = [
      "evil.example",
      `evil.example:${port}`,
      "127.0.0.1.evil.example",
      "localhost.evil.example",
      "",
      "a b",
      "[::2]",
      "8.8.8.8",
    ];
    for (const host of others) {
      for (const path of ["/", "/api/runs", "/assets/main.js", "/api/live?list"]) {
        const { status, body } = await raw(port, `GET ${path}`, { host });
        assert.ok(status === 421 || status === 400, `${JSON.stringify(host)} ${path}: ${status}`);
        assert.doesNotMatch(body, /tiny|import/);
      }
    }
    for (
      const host of [`127.0.0.1:${port}`, `localhost:${port}`, "LOCALHOST", `[::1]:${port}`, "127.0.0.1:9999"]
    ) {
      assert.equal((await raw(port, "GET /api/about", { host })).status, 200, host);
    }
  }));

Deno.test("methods other than GET, HEAD and POST are refused; POST too where only reading is allowed", () =>
  withDashboard(async ({ port, runs, origin }) => {
    await placeRun(runs, "tiny");
    for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "TRACE"]) {
      const { status, headers } = await raw(port, `${method} /api/runs/tiny`);
      assert.equal(status, 405, method);
      assert.equal(headers.allow, "GET, HEAD, POST");
    }
    const write = await raw(
      port,
      "POST /api/runs/tiny",
      { origin, "content-type": "application/json" },
      '{"notes":"x"}',
    );
    assert.equal(write.status, 403);
    assert.match(write.body, /start it with --write/);
    const head = await raw(port, "HEAD /api/about");
    assert.deepEqual([head.status, head.body], [200, ""]);
  }));

Deno.test("no path leads out of the runs' folder: dots, encoded ones, other slashes, nulls, hidden names", () =>
  withDashboard(async ({ port, runs, outside }) => {
    await Deno.writeTextFile(join(outside, "secret.txt"), SECRET);
    await placeRun(outside, "beside", { "run.json": { name: SECRET } });
    const dir = await placeRun(runs, "tiny", { "secret.txt": SECRET });
    await Deno.writeTextFile(join(dir, "artifacts", ".hidden"), SECRET);
    await Deno.writeTextFile(join(dir, "artifacts", "shown.txt"), "shown");
    const ups = [
      "..",
      "%2e%2e",
      "%2E%2e",
      ".%2e",
      "..%2f",
      "%2e%2e%2f",
      "..%5c",
      "%2e%2e%5c",
      "..%00",
      "%252e%252e",
      "..;",
    ];
    const paths = [
      ...ups.flatMap((up) => [
        `/api/runs/${up}`,
        `/api/runs/${up}/beside`,
        `/api/runs/${up}beside`,
        `/api/runs/tiny/artifacts/${up}/secret.txt`,
        `/api/runs/tiny/artifacts/${up}secret.txt`,
        `/api/runs/tiny/artifacts/${up}/${up}/${up}/secret.txt`,
        `/assets/${up}/${up}/secret.txt`,
        `/${up}/secret.txt`,
        `/api/series?metric=train_loss&run=${up}/beside`,
        `/api/series?metric=train_loss&run=${up}%2fbeside`,
        `/api/compare?run=${up}%2fbeside`,
        `/api/live?run=${up}%2fbeside`,
      ]),
      `/api/runs/${encodeURIComponent(outside)}`,
      `/api/runs/${encodeURIComponent(join(outside, "beside"))}`,
      "/api/runs/tiny/artifacts/.hidden",
      "/api/runs/tiny/artifacts/",
      "/api/runs/tiny/artifacts",
      "/api/runs/tiny/secret.txt",
      "/api/runs//etc/passwd",
      "//etc/passwd",
      "/etc/passwd",
      "/runs/tiny/artifacts/shown.txt",
      "/api/nothing",
      "/api/runs/tiny/nothing",
      "/api/runs/%",
      "/api/runs/%ff%fe",
      `/api/runs/${"a".repeat(5000)}`,
      "/api/runs/tiny%00",
    ];
    for (const path of paths) {
      const { status, body } = await raw(port, `GET ${path}`);
      assert.ok([400, 404].includes(status), `${path}: ${status} ${body.slice(0, 200)}`);
      assert.ok(!body.includes(SECRET), path);
    }
    assert.equal((await raw(port, "GET /api/runs/tiny/artifacts/shown.txt")).body, "shown");
    assert.equal((await raw(port, "GET http://evil.example/api/about")).status, 421);
  }));

Deno.test({
  name: "links that lead out of the runs' folder are neither listed nor followed",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withDashboard(async ({ port, runs, outside, ask }) => {
      await Deno.writeTextFile(join(outside, "secret.txt"), SECRET);
      const beside = await placeRun(outside, "beside", {
        "run.json": { name: SECRET },
        "samples.jsonl": [{ step: 1, text: SECRET }],
      });
      const dir = await placeRun(runs, "tiny");
      await Deno.symlink(beside, join(runs, "linked"));
      await Deno.symlink(join(outside, "secret.txt"), join(dir, "artifacts", "linked.txt"));
      await Deno.symlink(outside, join(dir, "artifacts", "up"));
      await Deno.symlink("round", join(dir, "artifacts", "round"));
      const bad = await placeRun(runs, "bad");
      await Deno.symlink(join(beside, "samples.jsonl"), join(bad, "samples.jsonl"));
      await Deno.remove(join(bad, "artifacts"));
      await Deno.symlink(outside, join(bad, "artifacts"));
      const paths = [
        "/api/runs/linked",
        "/api/runs/linked/samples",
        "/api/series?run=linked&metric=train_loss",
        "/api/runs/tiny/artifacts/linked.txt",
        "/api/runs/tiny/artifacts/up/secret.txt",
        "/api/runs/tiny/artifacts/round",
        "/api/runs/bad/artifacts/secret.txt",
      ];
      for (const path of paths) {
        const { status, body } = await raw(port, `GET ${path}`);
        assert.equal(status, 404, path);
        assert.ok(!body.includes(SECRET), path);
      }
      const list = await ask("/api/runs");
      assert.deepEqual(list.answer.rows.map((row: { id: string }) => row.id).sort(), ["bad", "tiny"]);
      for (const path of ["/api/runs/bad", "/api/runs/bad/samples", "/api/runs/tiny", "/api/runs"]) {
        assert.ok(!(await raw(port, `GET ${path}`)).body.includes(SECRET), path);
      }
      assert.deepEqual((await ask("/api/runs/tiny")).answer.artifacts, []);
    }),
});

Deno.test("with a token every request must bring it: as a header, a cookie, or once in the address", () =>
  withDashboard(async ({ port, runs }) => {
    await placeRun(runs, "tiny");
    const without: Record<string, string>[] = [
      {},
      { authorization: "Bearer wrong" },
      { authorization: "Bearer " },
      { authorization: "Basic s3cret" },
      { cookie: `chatgot_token_${port}=wrong` },
      { cookie: `chatgot_token_1=s3cret` },
      { cookie: `x=s3cret` },
    ];
    for (const headers of without) {
      for (
        const path of [
          "/",
          "/api/runs",
          "/assets/main.js",
          "/?token=",
          "/?token=wrong",
          "/api/live?list",
          "/nowhere",
        ]
      ) {
        const { status, body } = await raw(port, `GET ${path}`, headers);
        assert.equal(status, 401, `${path} ${JSON.stringify(headers)}`);
        assert.doesNotMatch(body, /tiny|s3cret/);
      }
    }
    for (
      const headers of [{ authorization: "Bearer s3cret" }, { cookie: `a=b; chatgot_token_${port}=s3cret` }]
    ) {
      assert.equal((await raw(port, "GET /api/runs", headers)).status, 200);
    }
    const first = await raw(port, "GET /runs/tiny?part=config&token=s3cret");
    assert.equal(first.status, 303);
    assert.equal(first.headers.location, "/runs/tiny?part=config");
    assert.equal(first.headers["set-cookie"], `chatgot_token_${port}=s3cret; Path=/; HttpOnly; SameSite=Lax`);
    // No address makes it send a browser to another site.
    assert.equal((await raw(port, "GET //evil.example/x?token=s3cret")).headers.location, "/evil.example/x");
  }, { token: "s3cret" }));

Deno.test("an address that others reach gets a token of its own, which differs each time", async () => {
  const runsDir = await Deno.makeTempDir();
  const tokens = new Set<string>();
  for (let i = 0; i < 2; i++) {
    const dashboard = serveDashboard({ runsDir, host: "0.0.0.0", port: 0 });
    try {
      const { port, searchParams } = new URL(dashboard.url);
      const token = searchParams.get("token")!;
      assert.match(token, /^[0-9a-f]{32}$/);
      tokens.add(token);
      assert.equal((await raw(Number(port), "GET /api/about")).status, 401);
      const headers = { authorization: `Bearer ${token}` };
      assert.equal((await raw(Number(port), "GET /api/about", headers)).status, 200);
      // Another name may resolve to this machine; an address can't be anything else.
      assert.equal(
        (await raw(Number(port), "GET /api/about", { ...headers, host: "evil.example" })).status,
        421,
      );
      assert.equal(
        (await raw(Number(port), "GET /api/about", { ...headers, host: `10.1.2.3:${port}` })).status,
        200,
      );
    } finally {
      await dashboard.close();
    }
  }
  assert.equal(tokens.size, 2);
  await Deno.remove(runsDir, { recursive: true });
});

Deno.test("every answer carries the policy, and what is no page of ours has no rights at all", () =>
  withDashboard(async ({ port, runs }) => {
    const dir = await placeRun(runs, "tiny");
    await Deno.writeTextFile(join(dir, "artifacts", "report.html"), "<script>alert(1)</script>");
    await Deno.writeTextFile(join(dir, "artifacts", "model.bin"), "\x00\x01");
    for (
      const path of [
        "/",
        "/runs/tiny",
        "/compare",
        "/assets/main.js",
        "/assets/lib/preact.js",
        "/api/runs",
        "/nowhere",
      ]
    ) {
      const { headers } = await raw(port, `GET ${path}`);
      const policy = headers["content-security-policy"]!;
      assert.match(
        policy,
        /^default-src 'none'; script-src 'self' 'sha256-[\w+/=]+'; style-src 'self'; /,
        path,
      );
      assert.doesNotMatch(policy, /unsafe|http|\*/);
      assert.match(policy, /require-trusted-types-for 'script'/);
      assert.equal(headers["x-content-type-options"], "nosniff");
      assert.equal(headers["cross-origin-resource-policy"], "same-origin");
      assert.equal(headers["referrer-policy"], "no-referrer");
      assert.equal(headers["access-control-allow-origin"], undefined);
    }
    const report = await raw(port, "GET /api/runs/tiny/artifacts/report.html");
    assert.match(report.headers["content-security-policy"]!, /^sandbox; default-src 'none'/);
    const binary = await raw(port, "GET /api/runs/tiny/artifacts/model.bin");
    assert.equal(binary.headers["content-disposition"], "attachment");
    assert.equal(binary.headers["content-type"], "application/octet-stream");
  }));

Deno.test("questions that make no sense are refused with a sentence, not with a fault", () =>
  withDashboard(async ({ runs, ask }) => {
    await placeRun(runs, "tiny");
    for (
      const path of [
        "/api/series?run=tiny&metric=train_loss&x=weight",
        "/api/series?run=tiny&metric=train_loss&smoothing=1",
        "/api/series?run=tiny&metric=train_loss&smoothing=NaN",
        "/api/series?run=tiny&metric=train_loss&buckets=1e9",
        "/api/runs?limit=0",
        "/api/runs?limit=many",
        "/api/runs?offset=-1",
        `/api/runs?where=${"a".repeat(3000)}`,
        `/api/compare?${Array.from({ length: 300 }, (_, i) => `run=r${i}`).join("&")}`,
      ]
    ) {
      const { status, answer } = await ask(path);
      assert.equal(status, 400, path);
      assert.match(answer.error.message, /\w+ \w+/);
    }
    assert.deepEqual((await ask("/api/series?run=tiny&metric=none&metric=__proto__")).answer.series, []);
  }));
