/** Files that a stranger may have made: whatever stands in them, they are read as they are or refused with one clear error. */

import assert from "assert";
import { join } from "path";
import fc from "fast-check";
import { UserError } from "../../common/mod.ts";
import {
  DTYPE_BYTES,
  fromHuggingFaceConfig,
  fromPeftConfig,
  modelConfig,
  openModelFolder,
  parameters,
  parseSafetensors,
  type TensorToWrite,
  writeSafetensors,
} from "../../models/mod.ts";
import { writeFolder } from "./hugging_face_folder.ts";

const RUNS = { numRuns: 300, seed: 20 };

/** Tensors of any names, dtypes and small shapes, with bytes of chance. */
const tensors: fc.Arbitrary<TensorToWrite[]> = fc.uniqueArray(
  fc.record({
    name: fc.string({ minLength: 1 }).filter((name) => name !== "__metadata__"),
    dtype: fc.constantFrom(...Object.keys(DTYPE_BYTES) as (keyof typeof DTYPE_BYTES)[]),
    shape: fc.array(fc.nat(4), { maxLength: 3 }),
    seed: fc.nat(255),
  }),
  { selector: ({ name }) => name, maxLength: 5 },
).map((list) =>
  list.map(({ name, dtype, shape, seed }) => {
    const length = DTYPE_BYTES[dtype] * shape.reduce((a, b) => a * b, 1);
    return { name, dtype, shape, data: new Uint8Array(length).map((_, i) => i * 31 + seed) };
  })
);

async function bytesOf(list: TensorToWrite[], metadata: Record<string, string> = {}): Promise<Uint8Array> {
  const path = await Deno.makeTempFile();
  try {
    await writeSafetensors(path, list, metadata);
    return await Deno.readFile(path);
  } finally {
    await Deno.remove(path);
  }
}

/** Reads all that a file says it has. Gives undefined where it is refused, and fails on any other error. */
function read(bytes: Uint8Array): Map<string, Uint8Array> | undefined {
  try {
    const file = parseSafetensors(bytes, "any.safetensors");
    const all = new Map([...file.tensors.keys()].map((name) => [name, file.readBytes(name)]));
    for (const { name, begin, end } of file.tensors.values()) {
      assert.equal(all.get(name)!.length, end - begin, `${name} is cut`);
    }
    return all;
  } catch (error) {
    assertRefused(error, /^any\.safetensors: ./);
    return undefined;
  }
}

function assertRefused(error: unknown, message: RegExp): void {
  if (!(error instanceof UserError)) throw error;
  assert.match(error.describe(), message);
}

Deno.test("any tensors come back from a safetensors file byte for byte", () =>
  fc.assert(
    fc.asyncProperty(
      tensors,
      fc.dictionary(fc.string({ minLength: 1 }), fc.string(), { maxKeys: 3 }),
      async (list, metadata) => {
        const file = parseSafetensors(await bytesOf(list, metadata), "any.safetensors");
        assert.deepEqual(Object.entries(file.metadata), Object.entries(metadata));
        assert.equal(file.tensors.size, list.length);
        for (const { name, dtype, shape, data } of list) {
          assert.deepEqual([file.info(name).dtype, file.info(name).shape], [dtype, shape]);
          assert.deepEqual(file.readBytes(name), data);
        }
      },
    ),
    { ...RUNS, numRuns: 100 },
  ));

Deno.test("a safetensors file with bytes changed, lost or added is read within its bounds or refused", () =>
  fc.assert(
    fc.asyncProperty(
      tensors,
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: -3, max: 3 }), fc.nat(255)), {
        minLength: 1,
        maxLength: 4,
      }),
      async (list, changes) => {
        let bytes = [...await bytesOf(list)];
        for (const [at, length, value] of changes) {
          const place = at % (bytes.length + 1);
          if (length < 0) bytes.splice(place, -length);
          else if (length > 0) bytes.splice(place, 0, ...new Array(length).fill(value));
          else bytes = bytes.map((byte, i) => i === place ? value : byte);
        }
        read(Uint8Array.from(bytes));
      },
    ),
    RUNS,
  ));

Deno.test("a safetensors header of any JSON, and of any length, is read within its bounds or refused", () => {
  const number = fc.oneof(fc.nat(40), fc.constantFrom(-1, 0.5, 1e300, 2 ** 53, 2 ** 53 - 1));
  const entry = fc.record({
    dtype: fc.oneof(fc.constantFrom("F32", "U8", "I64", "F31", "constructor"), fc.jsonValue()),
    shape: fc.oneof(fc.array(number, { maxLength: 3 }), fc.jsonValue()),
    data_offsets: fc.oneof(fc.array(number, { maxLength: 3 }), fc.jsonValue()),
  }, { requiredKeys: [] });
  const names = fc.oneof(fc.constantFrom("__metadata__", "__proto__", "a", "b"), fc.string());
  const header = fc.oneof(
    fc.dictionary(names, fc.oneof(entry, fc.jsonValue()), { maxKeys: 4 }).map((each) => JSON.stringify(each)),
    fc.json(),
    fc.string(),
  );
  const claimed = fc.oneof(
    fc.constant(undefined),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.bigInt({ min: 0n, max: 60n }),
  );
  fc.assert(
    fc.property(header, claimed, fc.nat(40), (text, length, dataBytes) => {
      const json = new TextEncoder().encode(text);
      const bytes = new Uint8Array(8 + json.length + dataBytes);
      new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
      bytes.set(json, 8);
      read(bytes);
    }),
    { ...RUNS, numRuns: 2000 },
  );
});

Deno.test("any bytes at all are refused as no safetensors file", () =>
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const tensors = read(bytes);
      assert.ok(tensors === undefined || tensors.size === 0);
    }),
    { ...RUNS, numRuns: 1000 },
  ));

Deno.test("any JSON as config.json or adapter_config.json is a model that can be computed, or is refused", () => {
  const keys = fc.constantFrom(
    ...["model_type", "n_layer", "n_head", "n_embd", "vocab_size", "n_positions", "n_inner", "attn_pdrop"],
    ...["peft_type", "r", "lora_alpha", "target_modules", "rank_pattern", "base_model_name_or_path"],
  );
  const values = fc.oneof(
    fc.constantFrom("gpt2", "LORA", "c_attn", 0.5, 3, 4, null, ["c_attn"], ["c_proj", "x"], {}, "base"),
    fc.jsonValue(),
  );
  const json = fc.oneof(fc.dictionary(keys, values), fc.jsonValue());
  const check = (parse: (json: unknown) => unknown, message: RegExp) =>
    fc.assert(
      fc.property(json, (value) => {
        try {
          parse(value);
        } catch (error) {
          assertRefused(error, message);
        }
      }),
      { ...RUNS, numRuns: 300 },
    );
  check((value) => modelConfig(fromHuggingFaceConfig(value, "config.json")), /^config\.json: ./);
  check((value) => fromPeftConfig(value, "adapter_config.json"), /^adapter_config\.json: ./);
});

Deno.test("any index of shards opens with every parameter, or is refused with a file's name", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const config = modelConfig({ n_layer: 1, n_head: 1, n_embd: 2, n_positions: 2 }, 3);
    await writeFolder(dir, { config, shards: 8 });
    const path = join(dir, "model.safetensors.index.json");
    const { weight_map } = JSON.parse(await Deno.readTextFile(path));
    const names = fc.constantFrom(
      ...new Set<string>(Object.values(weight_map)),
      "none.safetensors",
      "../x",
      "",
    );
    const key = fc.oneof(fc.constantFrom(...Object.keys(weight_map)), fc.string());
    const changes = fc.array(fc.tuple(key, fc.oneof(names, fc.jsonValue(), fc.constant(undefined))), {
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(changes, async (list) => {
        const changed = { ...weight_map, ...Object.fromEntries(list) };
        await Deno.writeTextFile(path, JSON.stringify({ metadata: {}, weight_map: changed }));
        try {
          using folder = await openModelFolder(dir);
          for (const { name } of parameters(config)) folder.weight(name);
        } catch (error) {
          assertRefused(error, /\.(json|safetensors): |: the weights have no tensor/);
        }
      }),
      { ...RUNS, numRuns: 150 },
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
