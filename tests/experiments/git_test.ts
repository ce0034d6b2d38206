/** Reading a commit from git's files, against git itself. */

import assert from "assert";
import * as path from "path";
import { gitCommit } from "../../experiments/tracker/git.ts";

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

Deno.test({
  name: "gitCommit() agrees with git on branches, packed references, detached heads and linked work trees",
  ignore: !hasGit,
  fn: async () => {
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
  },
});
