/**
 * The tuner: finds, for the kernels of a step, tiles that are faster on this adapter than the defaults. Kernels with most
 * work come first and get time by their share of it. Around the best tile so far the nearest untried one is tried next, so
 * that a short budget looks where gains are likely and a long one sees all candidates. A tile wins when its whole result
 * agrees with the default's and it is faster by a clear margin in a last comparison, one beside the other.
 */

import type { Gpu } from "../device.ts";
import type { Dispatch } from "../lower.ts";
import { type Bench, openBench, type Trial } from "./bench.ts";
import { candidates, type CandidateTarget, choiceKey } from "./candidates.ts";
import { type Choice, type Choices, type Site, siteKey } from "./choices.ts";

/** A kernel to tune. */
export interface TuningSite {
  site: Site;
  /** How often a step runs it. */
  calls: number;
  /** Floating-point operations of one run. */
  flops: number;
}

/** What tuning found for one kernel. */
export interface TunedKernel extends TuningSite {
  kernel: string;
  default: Choice;
  /** The winner; the default where nothing was clearly faster. */
  choice: Choice;
  /** Seconds of one run. */
  default_seconds: number;
  seconds: number;
  /** Candidates that were timed, and those that were wrong. */
  tried: number;
  wrong: number;
}

/** How to tune. */
export interface TuneOptions {
  /** Time for all kernels together; the default of each is measured in any case. */
  seconds: number;
  /** What was found before: the search goes on from there. */
  known?: Choices;
  /** Asked between candidates; true ends with what was found. */
  isStopped?: () => boolean;
  /** Told after every candidate: seconds spent, and the kernel. */
  onProgress?: (seconds: number, kernel: string) => void;
  /** Gets each kernel when it is done. */
  onFound?: (found: TunedKernel) => Promise<void>;
  /** What tests replace. */
  open?: (gpu: Gpu, site: Site) => Promise<Bench>;
}

/** Seconds of a batch that counts, and of a first look. */
const BATCH_SECONDS = 0.1;
const LOOK_SECONDS = 0.01;

/** A first look that is slower than the best by this factor ends a candidate, and so does a batch. */
const HOPELESS = 1.5;
const SLOWER = 1.1;

/** What a winner must save. */
const MARGIN = 0.03;

/** Rounds of the last comparison. */
const ROUNDS = 3;

/** Most runs in a batch: each is a dispatch that the host records. */
const MOST_RUNS = 500;

/** The kernels of a plan whose tiles can be chosen, most work first. */
export function tuningSites(dispatches: readonly Pick<Dispatch, "chosen" | "flops">[]): TuningSite[] {
  const sites = new Map<string, TuningSite>();
  for (const { chosen, flops } of dispatches) {
    if (chosen === undefined) continue;
    const key = siteKey(chosen.site);
    const known = sites.get(key);
    if (known === undefined) sites.set(key, { site: chosen.site, calls: 1, flops });
    else if (flops === known.flops) known.calls++; // the sum over slices belongs to the product before it
  }
  return [...sites.values()].sort((a, b) => workOf(b) - workOf(a));
}

/** Work of a step's runs; attention's is dearer than that of products. */
function workOf({ site, calls, flops }: TuningSite): number {
  return calls * flops * (site.op === "matmul" ? 1 : 3);
}

/** What candidates depend on, of an open device. */
export function candidateTarget(gpu: Gpu): CandidateTarget {
  const { maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup } = gpu.device.limits;
  return {
    profile: gpu.profile,
    hasSubgroups: gpu.hasSubgroups,
    vendor: gpu.vendor,
    maxWorkgroupBytes: maxComputeWorkgroupStorageSize,
    maxInvocations: maxComputeInvocationsPerWorkgroup,
  };
}

/**
 * Tunes kernels, in their order.
 *
 * @returns those that were reached before the time was over or a stop came
 */
export async function tune(gpu: Gpu, sites: TuningSite[], options: TuneOptions): Promise<TunedKernel[]> {
  const begin = performance.now();
  const spent = () => (performance.now() - begin) / 1000;
  const found: TunedKernel[] = [];
  for (const [i, item] of sites.entries()) {
    if (options.isStopped?.() === true || (i > 0 && spent() >= options.seconds)) break;
    const left = sites.slice(i).reduce((sum, other) => sum + workOf(other), 0);
    const until = spent() + (options.seconds - spent()) * workOf(item) / left;
    const kernel = siteKey(item.site);
    const isOver = () => {
      options.onProgress?.(spent(), kernel);
      return spent() >= until || options.isStopped?.() === true;
    };
    const tuned = await tuneKernel(gpu, item, isOver, options);
    await options.onFound?.(tuned);
    found.push(tuned);
  }
  return found;
}

/** The winners, without kernels whose default is best. */
export function winners(found: TunedKernel[]): Choices {
  return Object.fromEntries(
    found.filter((k) => choiceKey(k.choice) !== choiceKey(k.default)).map((k) => [k.kernel, k.choice]),
  );
}

/** A tile that was timed, with its trial while it may yet be needed. */
interface Timed {
  choice: Choice;
  trial: Trial;
  seconds: number;
}

async function tuneKernel(
  gpu: Gpu,
  item: TuningSite,
  isOver: () => boolean,
  { known = {}, open = openBench }: TuneOptions,
): Promise<TunedKernel> {
  const [standard, ...others] = candidates(item.site, candidateTarget(gpu)) as [Choice, ...Choice[]];
  const bench = await open(gpu, item.site);
  try {
    const trial = await bench.trial(standard);
    const reference: Timed = { choice: standard, trial, seconds: await timeOf(trial, Infinity) };
    const expected = await trial.result();
    const fault = bench.fault(expected);
    if (fault !== undefined) {
      throw new Error(`the default kernel of ${siteKey(item.site)} is wrong: ${fault}`);
    }
    const tolerance = bench.tolerance(expected);
    let best = reference, tried = 1, wrong = 0;
    nearestLast(others, known[siteKey(item.site)] ?? standard); // the last is the next
    while (others.length > 0 && !isOver()) {
      await new Promise((resolve) => setTimeout(resolve)); // signals are heard between candidates
      const choice = others.pop()!;
      const candidate = await bench.trial(choice).catch(() => undefined);
      if (candidate === undefined) continue; // the driver takes no such kernel
      tried++;
      const seconds = await timeOf(candidate, best.seconds);
      const isFaster = seconds < best.seconds;
      const isRight = isFaster && agrees(await candidate.result(), expected, tolerance);
      if (isFaster && !isRight) wrong++;
      if (!isRight) {
        candidate.destroy();
        continue;
      }
      if (best !== reference) best.trial.destroy();
      best = { choice, trial: candidate, seconds };
      nearestLast(others, choice);
    }
    const [before, after] = best === reference
      ? [reference.seconds, reference.seconds]
      : await compare(reference, best);
    const isWinner = after <= before * (1 - MARGIN);
    for (const { trial } of new Set([reference, best])) trial.destroy();
    return {
      ...item,
      kernel: siteKey(item.site),
      default: standard,
      choice: isWinner ? best.choice : standard,
      default_seconds: before,
      seconds: isWinner ? after : before,
      tried,
      wrong,
    };
  } finally {
    bench.destroy();
  }
}

/** Seconds of one run: the fastest of some batches, or the first that shows that it is slower than `best`. */
async function timeOf(trial: Trial, best: number): Promise<number> {
  const look = Number.isFinite(best) ? runsFor(LOOK_SECONDS, best) : 1;
  const first = await trial.time(look);
  if (first > HOPELESS * best) return first;
  const runs = runsFor(BATCH_SECONDS, first);
  let seconds = Infinity;
  for (let round = 0; round < 2; round++) {
    seconds = Math.min(seconds, await trial.time(runs));
    if (seconds > SLOWER * best) break;
  }
  return seconds;
}

function runsFor(seconds: number, once: number): number {
  return Math.max(1, Math.min(MOST_RUNS, Math.ceil(seconds / once)));
}

/** Seconds of two tiles, measured in turn: the fastest batch of each. */
async function compare(a: Timed, b: Timed): Promise<[number, number]> {
  const seconds: [number, number] = [Infinity, Infinity];
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, { trial, seconds: once }] of [a, b].entries()) {
      seconds[i] = Math.min(seconds[i]!, await trial.time(runsFor(BATCH_SECONDS, once)));
    }
  }
  return seconds;
}

/** Whether two results are the same to rounding. A NaN agrees with nothing. */
function agrees(result: Float32Array, expected: Float32Array, tolerance: number): boolean {
  return result.length === expected.length &&
    result.every((value, i) => Math.abs(value - expected[i]!) <= tolerance);
}

/** Orders choices by how unlike another they are: sizes count by their ratio, words by whether they differ. */
function nearestLast(choices: Choice[], to: Choice): void {
  const distances = new Map(choices.map((choice) => [choice, distance(choice, to)]));
  choices.sort((a, b) => distances.get(b)! - distances.get(a)!);
}

function distance(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return Math.abs(Math.log2(a / b));
  if (typeof a === "object" && typeof b === "object" && a !== null && b !== null) {
    const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
    return [...keys].reduce(
      (sum, key) => sum + distance(a[key as keyof typeof a], b[key as keyof typeof b]),
      0,
    );
  }
  return a === b ? 0 : 2;
}
