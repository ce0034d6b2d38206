/**
 * Choosing the next token from logits: temperature, top_k (Fan et al., arXiv:1805.04833), top_p (Holtzman et al.,
 * arXiv:1904.09751), in this order, each on what the one before it left. The random number is a pure function
 * of (seed, sample, position), so a text can be had again from its seed, and samples do not disturb each other.
 */
import { streamOf, uniform, UserError } from "../common/mod.ts";

/** How a token is chosen. */
export interface Sampling {
  /** Divides the logits: below 1 bolder, above 1 wilder; 0 takes the most likely token. */
  temperature: number;
  /** Only the k most likely tokens are eligible; 0 means all. */
  top_k: number;
  /** Only the most likely tokens that together reach this probability are eligible; 1 means all. */
  top_p: number;
}

/** Tokens that may come next and their probabilities, which add up to 1. */
export interface Distribution {
  tokens: Uint32Array;
  probabilities: Float64Array;
}

/**
 * The distribution that the next token is drawn from.
 *
 * With top_k or top_p the tokens stand most likely first, and of equally likely ones the lower id; else by id.
 *
 * @param logits one number a token, [V].
 * @throws UserError when a logit is NaN or Infinity: the weights are broken.
 *
 * @example
 * ```ts
 * import { distribution } from "./sampling.ts";
 * const logits = new Float32Array([Math.log(1), Math.log(3), Math.log(6)]);
 * const { tokens, probabilities } = distribution(logits, { temperature: 1, top_k: 2, top_p: 1 });
 * console.log(tokens, probabilities); // 2 with 6/9, 1 with 3/9
 * ```
 */
export function distribution(logits: Float32Array, { temperature, top_k, top_p }: Sampling): Distribution {
  const best = argmax(logits);
  if (temperature === 0) {
    return { tokens: Uint32Array.of(best), probabilities: Float64Array.of(1) };
  }
  let tokens = Uint32Array.from(logits.keys());
  const limited = top_k > 0 && top_k < logits.length;
  if (limited || top_p < 1) {
    if (limited) {
      const least = logits.toSorted()[logits.length - top_k]!; // the k-th largest
      tokens = tokens.filter((token) => logits[token]! >= least);
    }
    tokens.sort((a, b) => logits[b]! - logits[a]! || a - b);
    if (limited) tokens = tokens.slice(0, top_k); // of equals at the border the lower ids stay
  }
  let probabilities = softmax(tokens, logits, logits[best]!, temperature);
  if (top_p < 1) {
    const count = nucleus(probabilities, top_p);
    tokens = tokens.slice(0, count);
    probabilities = softmax(tokens, logits, logits[best]!, temperature);
  }
  return { tokens, probabilities };
}

/**
 * Draws the next token: of those of the distribution, in the order of their ids, the first at which the sum of probabilities
 * passes the random number. Generation does the same on the device, in float32.
 *
 * @param logits one number a token, [V].
 * @param place which random number to use: the sample's number (0 for the first of num_samples) and the position of
 *   the token to be drawn.
 */
export function sampleToken(logits: Float32Array, sampling: Sampling, place: SamplePlace): number {
  const { tokens, probabilities } = distribution(logits, sampling);
  const probabilityOf = new Map(tokens.entries().map(([i, token]) => [token, probabilities[i]!]));
  const random = samplingNumber(place);
  let sum = 0;
  let last = 0;
  for (const token of tokens.toSorted()) {
    const probability = probabilityOf.get(token)!;
    if (probability > 0) last = token;
    sum += probability;
    if (random < sum) return token;
  }
  return last; // the sum was rounded to just under 1
}

/** Which random number draws a token. */
export interface SamplePlace {
  seed: number;
  /** Number of the sample, 0 for the first of num_samples. */
  sample: number;
  /** Place of the token among those that are generated. */
  position: number;
}

/** The random number, 0 to less than 1, that draws a token: a float32, since the device has no others. */
export function samplingNumber({ seed, sample, position }: SamplePlace): number {
  return Math.floor(uniform(seed, streamOf(`generation.${sample}`), position) * 2 ** 24) / 2 ** 24;
}

/** What the device is told of a choice: the input `sampling` of graphs that draw tokens. */
export function packSampling({ temperature, top_k, top_p }: Sampling): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(4);
  const floats = new Float32Array(words.buffer);
  floats[0] = temperature;
  words[1] = top_k;
  floats[2] = top_p;
  return words;
}

/** The token with the largest logit, of equal ones the lowest id. */
function argmax(logits: Float32Array): number {
  let best = 0;
  for (let i = 0; i < logits.length; i++) {
    if (Number.isNaN(logits[i]!) || logits[i] === Infinity) {
      throw new UserError(`the model's logit of token ${i} is ${logits[i]}`, {
        hint: "its weights are broken: use an earlier checkpoint",
      });
    }
    if (logits[i]! > logits[best]!) best = i;
  }
  return best;
}

function softmax(tokens: Uint32Array, logits: Float32Array, max: number, temperature: number): Float64Array {
  const weights = Float64Array.from(tokens, (token) => Math.exp((logits[token]! - max) / temperature));
  const total = weights.reduce((sum, w) => sum + w, 0);
  return weights.map((w) => w / total);
}

/** How many of the descending probabilities it takes to reach top_p, at least one. */
function nucleus(probabilities: Float64Array, top_p: number): number {
  let sum = 0;
  for (let i = 0; i < probabilities.length; i++) {
    sum += probabilities[i]!;
    if (sum >= top_p) return i + 1;
  }
  return probabilities.length;
}
