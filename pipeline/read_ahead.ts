/**
 * Reading tensors from the device in a known order. Each reading alone ends 10 ms after its bytes are there (see
 * `gpu/readback.ts`), which for the hundreds of tensors of a checkpoint is seconds; so the next ones are asked for before
 * they are wanted, as far as memory goes.
 */

import type { Elements } from "../gpu/mod.ts";

/** Bytes that may have been read and not yet taken, beside one tensor. */
export const BYTES_AHEAD = 64 << 20;

/** A tensor to be read. */
export interface Reading {
  key: string;
  bytes: number;
  read: () => Promise<Elements>;
}

/** Takes tensors in order and reads ahead of the taker. */
export class ReadAhead {
  readonly #readings: Reading[];
  readonly #begun: Promise<Elements>[] = [];
  #taken = 0;
  #bytes = 0;

  constructor(readings: Reading[]) {
    this.#readings = readings;
  }

  /** The next tensor. Throws if another one was next. */
  async take(key: string): Promise<Elements> {
    const i = this.#taken++;
    const reading = this.#readings[i];
    if (reading?.key !== key) throw new Error(`read ${key} out of order: ${reading?.key} was next`);
    this.#readOn();
    const data = await this.#begun[i]!;
    delete this.#begun[i];
    this.#bytes -= reading.bytes;
    return data;
  }

  #readOn(): void {
    for (let i = this.#begun.length; i < this.#readings.length; i++) {
      const { bytes, read } = this.#readings[i]!;
      if (i >= this.#taken && this.#bytes + bytes > BYTES_AHEAD) return;
      this.#bytes += bytes;
      const reading = read();
      reading.catch(() => {}); // whoever takes it hears of the failure
      this.#begun.push(reading);
    }
  }
}
