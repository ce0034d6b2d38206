/** The benchmark of matrix products computes what it measures. */

import assert from "assert";
import { benchmarkMatmul } from "../../gpu/mod.ts";
import { withGpu } from "./support.ts";

for (const operands of ["texture", "buffer"] as const) {
  Deno.test(`benchmarkMatmul() measures right products: ${operands}s`, () =>
    withGpu({ operands }, async (gpu) => {
      for (const mode of ["NN", "NT", "TN"] as const) {
        const speed = await benchmarkMatmul(gpu, { mode, M: 20, N: 24, K: 12 }, 0.01);
        assert.ok(speed.max_abs_error < 1e-5, `${mode}: ${speed.max_abs_error}`);
        assert.ok(speed.gflops_best >= speed.gflops_median && speed.gflops_median > 0);
      }
    }));
}
