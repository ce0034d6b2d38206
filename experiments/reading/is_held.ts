/** Whether a process of this machine writes to a run: the lock tells, and it goes with the process, however that ends. */

import { join } from "path";

/**
 * Whether a run's lock is held.
 *
 * Looking takes a shared lock for a moment; who begins or resumes a run tries again for longer than that.
 */
export function isHeld(dir: string): boolean {
  try {
    using lock = Deno.openSync(join(dir, ".lock"));
    return !lock.tryLockSync(false);
  } catch {
    return false; // no lock, or none that may be asked
  }
}
