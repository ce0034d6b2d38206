import assert from "assert";
import { join } from "path";
import { UserError } from "../../common/mod.ts";
import { loadModel, openModelFolder, parameters } from "../../models/mod.ts";
import { type FolderForm, ODD_MODEL, writeFolder } from "./hugging_face_folder.ts";

async function inTempDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const FORMS: FolderForm[] = [
  {},
  { prefix: "transformer.", extras: true },
  { dtype: "F16", shards: 5, extras: true },
  { dtype: "BF16", shards: 1, prefix: "transformer." },
];

for (const form of FORMS) {
  Deno.test(`a folder opens with the stored bytes and dtypes: ${JSON.stringify(form)}`, () =>
    inTempDir(async (dir) => {
      const bytes = await writeFolder(dir, form);
      using folder = await openModelFolder(dir);
      assert.deepEqual(folder.config, ODD_MODEL);
      for (const { name } of parameters(ODD_MODEL)) {
        assert.equal(folder.info(name).dtype, form.dtype ?? "F32");
        assert.deepEqual(folder.bytes(name), bytes.get(name));
      }
      const reasons = folder.leftOut.map(({ name, reason }) => [name.replace("transformer.", ""), reason]);
      assert.deepEqual(
        reasons.sort(),
        form.extras
          ? [
            ["h.0.attn.bias", "attention mask"],
            ["h.1.attn.masked_bias", "attention mask"],
            ["lm_head.weight", "head, tied to wte.weight"],
          ]
          : [],
      );
      const { weights } = await loadModel(dir);
      const widen = (data: Uint8Array) => {
        const buffer = new Uint8Array(data).buffer;
        if (form.dtype === "F16") return [...new Float16Array(buffer)];
        if (form.dtype !== "BF16") return [...new Float32Array(buffer)];
        return [...new Uint16Array(buffer)].map((half) =>
          new Float32Array(Uint32Array.of(half * 65536).buffer)[0]!
        );
      };
      for (const [name, { data }] of weights) assert.deepEqual([...data], widen(bytes.get(name)!), name);
    }));
}

async function refuses(dir: string, message: RegExp): Promise<void> {
  await assert.rejects(openModelFolder(dir), (error) => {
    assert.ok(error instanceof UserError, `${error}`);
    assert.match(error.describe(), message);
    assert.ok(!error.describe().includes("\n"));
    return true;
  });
}

Deno.test("weights that do not belong together are refused, with file and tensor", () =>
  inTempDir(async (dir) => {
    const check = async (form: FolderForm, message: RegExp) => {
      await writeFolder(dir, form); // over the one before
      await refuses(dir, message);
    };
    const find = (tensors: { name: string }[], name: string) => tensors.findIndex((t) => t.name === name);
    await check({
      change: (tensors) => void tensors.splice(find(tensors, "h.1.ln_2.bias"), 1),
    }, /no tensor h\.1\.ln_2\.bias, with or without transformer\..*wte\.weight/);
    await check(
      {
        change: (tensors) =>
          tensors[find(tensors, "ln_f.bias")] = {
            name: "ln_f.bias",
            dtype: "I32",
            shape: [9],
            data: new Int32Array(9),
          },
      },
      /model\.safetensors: tensor ln_f\.bias has dtype I32, expected F32, F16/,
    );
    await check({
      change: (tensors) => tensors[find(tensors, "ln_f.bias")]!.shape = [3, 3],
    }, /model\.safetensors: tensor ln_f\.bias is \[3, 3\], config\.json asks for \[9\]/);
    await check(
      {
        change: (tensors) =>
          tensors.push({ name: "h.2.ln_1.bias", dtype: "F32", shape: [9], data: new Float32Array(9) }),
      },
      /model\.safetensors: holds tensor h\.2\.ln_1\.bias, but config\.json says n_layer 2/,
    );
    await check({
      extras: true,
      change: (tensors) =>
        tensors[find(tensors, "lm_head.weight")]!.data = new Float32Array(ODD_MODEL.vocab_size * 9),
    }, /model\.safetensors: tensor lm_head\.weight is not the same as wte\.weight.*tied/);
  }));

Deno.test("shards: what does not fit together is refused, and the file is named", () =>
  inTempDir(async (dir) => {
    const index = join(dir, "model.safetensors.index.json");
    const edit = async (change: (map: Record<string, string>) => void) => {
      const json = JSON.parse(await Deno.readTextFile(index));
      change(json.weight_map);
      await Deno.writeTextFile(index, JSON.stringify(json));
    };
    await writeFolder(dir, { shards: 4 });
    const shard = "model-00002-of-many.safetensors";
    const entry = "wpe.weight";
    await edit((map) => delete map[entry]);
    await refuses(dir, /index\.json: has no entry for tensor wpe\.weight, which stands in model-00001/);
    await edit((map) => map[entry] = shard);
    await refuses(dir, /index\.json: says that tensor wpe\.weight stands in model-00002.*no such tensor/);
    await edit((map) => map[entry] = "../model.safetensors");
    await refuses(dir, /index\.json: weight_map\.wpe\.weight: expected the name of a \.safetensors file/);
    await edit((map) => map[entry] = "none.safetensors");
    await refuses(dir, /none\.safetensors: no such file/);
    await edit((map) => map[entry] = "model-00001-of-many.safetensors");
    await Deno.truncate(join(dir, shard), (await Deno.stat(join(dir, shard))).size - 1);
    await refuses(dir, /model-00002-of-many\.safetensors: is truncated/);
    await Deno.writeTextFile(index, `{"weight_map": [`);
    await refuses(dir, /index\.json:1: is not valid JSON/);
    await Deno.remove(index);
    await refuses(dir, /holds no weights.*model\.safetensors, or shards/);
    await Deno.writeTextFile(join(dir, "pytorch_model.bin"), "");
    await refuses(dir, /only as pytorch_model\.bin/);
  }));
