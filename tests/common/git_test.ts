/** Reading a commit from git's files: as its manual lays them out, and against git itself where it is installed. */

import assert from "assert";
import * as path from "path";
import { gitCommit, gitIsDirty } from "../../common/git.ts";

const git = async (dir: string, ...args: string[]) => {
  const settings = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"];
  const command = new Deno.Command("git", { args: [...settings, ...args], cwd: dir, stderr: "null" });
  const { success, stdout } = await command.output();
  assert.ok(success, `git ${args.join(" ")}`);
  return new TextDecoder().decode(stdout).trim();
};

const hasGit = (() => {
  try {
    return new Deno.Command("git", { args: ["--version"] }).outputSync().success;
  } catch {
    return false;
  }
})();

Deno.test("gitCommit() follows HEAD to a branch, to packed references and to a linked work tree's repository", async () => {
  const root = await Deno.makeTempDir();
  try {
    const [one, two] = ["1".repeat(40), "2".repeat(40)];
    const write = async (file: string, text: string) => {
      await Deno.mkdir(path.dirname(path.join(root, file)), { recursive: true });
      await Deno.writeTextFile(path.join(root, file), text);
    };
    await write("main/.git/HEAD", "ref: refs/heads/main\n");
    assert.equal(gitCommit(path.join(root, "main")), null); // no commit yet
    await write(
      "main/.git/packed-refs",
      `# pack-refs with: peeled\n${one} refs/heads/main\n${two} refs/heads/side\n`,
    );
    assert.equal(gitCommit(path.join(root, "main")), one);
    await write("main/.git/refs/heads/main", `${two}\n`); // newer than the packed one
    assert.equal(gitCommit(path.join(root, "main")), two);
    await write("linked/.git", `gitdir: ${path.join(root, "main/.git/worktrees/linked")}\n`);
    await write("main/.git/worktrees/linked/HEAD", "ref: refs/heads/side\n");
    await write("main/.git/worktrees/linked/commondir", "../..\n");
    assert.equal(gitCommit(path.join(root, "linked")), two);
    await write("main/.git/HEAD", `${one}\n`);
    assert.equal(gitCommit(path.join(root, "main")), one);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("gitCommit() agrees with git", async () => {
  if (!hasGit) return; // the test above stands alone then
  const root = await Deno.makeTempDir();
  try {
    assert.equal(gitCommit(root), null);
    const dir = path.join(root, "repository");
    await Deno.mkdir(path.join(dir, "deep/down"), { recursive: true });
    await git(dir, "init", "--quiet");
    assert.equal(gitCommit(dir), null); // no commit yet
    await git(dir, "commit", "--quiet", "--allow-empty", "-m", "one");
    const head = await git(dir, "rev-parse", "HEAD");
    assert.equal(gitCommit(dir), head);
    assert.equal(gitCommit(path.join(dir, "deep/down")), head);
    await git(dir, "worktree", "add", "--quiet", path.join(root, "linked"), "-b", "side");
    assert.equal(gitCommit(path.join(root, "linked")), head);
    await git(dir, "pack-refs", "--all");
    assert.equal(gitCommit(dir), head);
    assert.equal(gitCommit(path.join(root, "linked")), head);
    await git(dir, "checkout", "--quiet", "--detach");
    assert.equal(gitCommit(dir), head);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("gitIsDirty() sees changes and new files, and null where there is no work tree", async () => {
  if (!hasGit) return;
  const dir = await Deno.makeTempDir();
  try {
    assert.equal(await gitIsDirty(dir), null);
    await git(dir, "init", "--quiet");
    await Deno.writeTextFile(path.join(dir, "a"), "1");
    await git(dir, "add", "a");
    await git(dir, "commit", "--quiet", "-m", "one");
    assert.equal(await gitIsDirty(dir), false);
    await Deno.writeTextFile(path.join(dir, "a"), "2");
    assert.equal(await gitIsDirty(dir), true);
    await git(dir, "checkout", "--quiet", "a");
    assert.equal(await gitIsDirty(dir), false);
    await Deno.writeTextFile(path.join(dir, "b"), "");
    assert.equal(await gitIsDirty(dir), true);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
