/**
 * Which tiles a kernel may have on an adapter: the whole grid of what its generator offers, as far as it is correct there and
 * not absurd. Left out: operands in buffers on a software adapter (a plan's tensors have one place for all their readers),
 * packed numbers, and the broadcast form on real GPUs, whose subgroups have no width that is known beforehand.
 */

import type { KernelProfile } from "../device.ts";
import type { GpuVendor } from "../vendor.ts";
import { defaultCached, defaultTiles as defaultAttention } from "../kernels/attention/defaults.ts";
import { headColumns } from "../kernels/attention/generate_text.ts";
import { keyHeads } from "../kernels/attention/pattern.ts";
import { vectorLanes } from "../kernels/lanes.ts";
import { defaultSplits, defaultTiles as defaultMatmul } from "../kernels/matmul/mod.ts";
import { checkMatmul } from "../kernels/matmul/generate.ts";
import type {
  AttentionSite,
  CachedSite,
  Choice,
  ChoiceOf,
  MatmulChoice,
  MatmulSite,
  Site,
} from "./choices.ts";

/** What of the adapter candidates depend on. */
export interface CandidateTarget {
  profile: KernelProfile;
  hasSubgroups: boolean;
  vendor?: GpuVendor | undefined;
  /** Bytes of workgroup memory, and invocations of a workgroup, that a kernel may have. */
  maxWorkgroupBytes: number;
  maxInvocations: number;
}

/** Least that WebGPU promises. */
export const LEAST_LIMITS = { maxWorkgroupBytes: 16384, maxInvocations: 256 };

/** Multiply-adds of vec4s in a trip beyond which text outgrows a core's instruction cache, and compiling takes for ever. */
const MOST_TEXT = 384;

/** vec4s of an attention kernel's rows beyond which registers spill. */
const MOST_ROWS = 96;

/** The tile that a kernel has where nothing is chosen. */
export function defaultChoice<S extends Site>(site: S, target: CandidateTarget): ChoiceOf<S>;
export function defaultChoice(site: Site, { profile, hasSubgroups, vendor }: CandidateTarget): Choice {
  switch (site.op) {
    case "matmul": {
      const { mode, M, N, K, bias } = site;
      const tile = defaultMatmul(mode, M, N, K, profile, hasSubgroups, vendor);
      return mode === "TN" && bias ? { ...tile, splits: defaultSplits(profile, M, N, K) } : tile;
    }
    case "attention":
      return defaultAttention(site.kind, site.shape, profile);
    case "cached attention":
      return defaultCached(site.shape, profile);
  }
}

/** All tiles that a kernel may have, the default first. */
export function candidates(site: Site, target: CandidateTarget): Choice[] {
  const all: Choice[] = [defaultChoice<Site>(site, target), ...grid(site, target)];
  const valid = all.filter((choice, i) => i === 0 || isValid(site, choice, target));
  return [...new Map(valid.map((choice) => [choiceKey(choice), choice])).values()];
}

function grid(site: Site, target: CandidateTarget): Choice[] {
  switch (site.op) {
    case "matmul":
      return target.profile === "gpu" ? gpuMatmuls(site) : cpuMatmuls(site, vectorLanes(target.profile));
    case "attention":
      return attentions(site, target);
    case "cached attention":
      return cachedAttentions(site);
  }
}

/** Two choices are the same when this is. */
export function choiceKey(choice: Choice): string {
  return JSON.stringify(Object.entries(choice).filter(([, value]) => value !== undefined).sort());
}

/**
 * Whether a kernel can have a tile on an adapter: its generator takes it, and workgroups fit. For what comes from a file
 * too, as long as it has the fields of a choice.
 */
export function isValid(site: Site, choice: Choice, target: CandidateTarget): boolean {
  if (site.op === "matmul") return isValidMatmul(site, choice as MatmulChoice, target);
  const { workgroup } = choice as ChoiceOf<AttentionSite | CachedSite>;
  if (workgroup > target.maxInvocations) return false;
  if (site.op === "cached attention" && "form" in choice && choice.form === "split") {
    const isPowerOf2 = Number.isInteger(Math.log2(workgroup));
    return isPowerOf2 && (workgroup / 2) * (headColumns(site.shape.hd) * 16 + 8) <= target.maxWorkgroupBytes;
  }
  const { queries, keys } = choice as ChoiceOf<AttentionSite>;
  const owned = site.op === "attention" && site.kind === "keys" ? keys : queries;
  return site.shape.sparse === undefined || owned === 1;
}

function isValidMatmul(site: MatmulSite, choice: MatmulChoice, target: CandidateTarget): boolean {
  const { mode, M, N, K, bias } = site;
  const { form, tile_m, tile_n, k_unroll, workgroup: [x, y], splits = 1 } = choice;
  const lanes = target.profile === "gpu" ? undefined : vectorLanes(target.profile);
  if (x * y > target.maxInvocations) return false;
  if (form === "broadcast" && !(target.hasSubgroups && x === lanes)) return false;
  if (form === "shared" && 4 * k_unroll * (tile_m * y + tile_n * x) > target.maxWorkgroupBytes) return false;
  if (splits > 1 && !(mode === "TN" && bias)) return false;
  try {
    checkMatmul({
      ...{ mode, M, N, K, splits },
      row_sum_b: bias && mode === "TN",
      start: bias && mode === "NN",
    }, choice);
    return true;
  } catch {
    return false;
  }
}

/** Every combination of some lists of values. */
function combine<T extends object>(axes: { [Key in keyof Required<T>]: readonly Required<T>[Key][] }): T[] {
  return Object.entries(axes).reduce<Record<string, unknown>[]>(
    (list, [key, values]) =>
      list.flatMap((item) => (values as unknown[]).map((value) => ({ ...item, [key]: value }))),
    [{}],
  ) as unknown as T[];
}

function cpuMatmuls({ mode, M, bias }: MatmulSite, lanes: number): MatmulChoice[] {
  const rows = Math.ceil(M / 4) * 4;
  const isTN = mode === "TN";
  const tiles = combine<Required<MatmulChoice>>({
    form: ["broadcast", "direct"],
    tile_m: [4, 8, 12, 16, 24, 32, 48, 64, 96].filter((tall) => tall <= rows),
    tile_n: [4, 8, 16],
    k_unroll: isTN ? [1, 2, 4] : [4, 8],
    workgroup: [[lanes, 1], [lanes, 2], [lanes, 4]],
    block: [[1, 4], [2, 4], [4, 4], [8, 4], [1, 8], [2, 8], [4, 8]],
    splits: isTN && bias ? [1, 2] : [1],
  });
  const fits = ({ tile_m, tile_n, k_unroll, block, workgroup: [, y] }: typeof tiles[number]) =>
    tile_m * tile_n / 4 * k_unroll <= MOST_TEXT && block[0] <= tile_m && block[1] <= tile_n &&
    (y === 1 || tile_m * y <= rows);
  const shared = combine<Omit<MatmulChoice, "block">>({
    ...{ form: ["shared"], tile_m: [8], tile_n: [8], k_unroll: [16], workgroup: [[16, 16]] },
    splits: [1],
  });
  return [...tiles.filter(fits), ...shared].map((tile) => withoutSplits(tile, isTN && bias));
}

function gpuMatmuls({ mode, bias }: MatmulSite): MatmulChoice[] {
  const isTN = mode === "TN";
  const splits = isTN && bias ? [1, 2, 4, 8, 16] : [1];
  const shared = combine<Omit<MatmulChoice, "block">>({
    form: ["shared"],
    tile_m: [4, 8],
    tile_n: [4, 8],
    k_unroll: [8, 16, 32],
    workgroup: [[16, 16], [16, 8], [8, 16], [8, 8], [32, 8]],
    splits,
  });
  const direct = combine<Omit<MatmulChoice, "block">>({
    form: ["direct"],
    tile_m: isTN ? [4, 8] : [1, 2, 4, 8],
    tile_n: [4, 8],
    k_unroll: [4],
    workgroup: [[32, 1], [64, 1], [128, 1]],
    splits,
  });
  return [...shared, ...direct].map((tile) => withoutSplits(tile, isTN && bias));
}

/** Only the gradient of a linear layer's weight has slices of K. */
function withoutSplits({ splits, ...tile }: MatmulChoice, canSplit: boolean): MatmulChoice {
  return canSplit && splits !== undefined ? { ...tile, splits } : tile;
}

function attentions({ kind, shape }: AttentionSite, target: CandidateTarget): ChoiceOf<AttentionSite>[] {
  const rows = shape.B * (kind === "keys" ? keyHeads(shape) : shape.H);
  const { profile } = target;
  const workgroup = profile === "gpu" ? [32, 64, 128, 256] : [vectorLanes(profile), 2 * vectorLanes(profile)];
  return combine<ChoiceOf<AttentionSite>>({
    queries: [1, 2, 4, 8],
    keys: [1, 2, 4, 8],
    workgroup,
    heads: [1, 2, 3, 4, 6, 8, 12, 16, 24, 32].filter((heads) => rows % heads === 0),
  }).filter(({ queries, keys }) =>
    Math.max(queries, keys) <= shape.T && (queries + keys) * headColumns(shape.hd) <= MOST_ROWS
  );
}

function cachedAttentions({ shape }: CachedSite): ChoiceOf<CachedSite>[] {
  const split = combine<Extract<ChoiceOf<CachedSite>, { form: "split" }>>({
    form: ["split"],
    keys: [1, 2, 4],
    workgroup: [8, 16, 32, 64, 128],
  });
  const tile = combine<Extract<ChoiceOf<CachedSite>, { form: "tile" }>>({
    form: ["tile"],
    queries: [1, 2, 4].filter((queries) => queries <= shape.N),
    keys: [1, 2, 4],
    workgroup: [8, 16, 64],
    heads: [1, shape.B * shape.H],
  });
  return [...split, ...tile];
}
