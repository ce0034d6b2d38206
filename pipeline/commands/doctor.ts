/** The command `chatgot doctor`: what this machine's adapter is and can do, and whether it computes a GPT exactly. */

import { Command } from "commander";
import { humanBytes, userPath } from "../../common/mod.ts";
import { type DriverFault, ensureAdapter, findDriverFaults, type Gpu, openGpu } from "../../gpu/mod.ts";
import { checkReference, type ReferenceCheck } from "../reference_check.ts";
import { embeddedReference, referenceFolders } from "../reference_files.ts";
import { addJsonFlag } from "./flags.ts";

interface DoctorFlags {
  reference?: string;
  json?: boolean;
}

/** The command. Its exit status is 1 when a check fails. */
export function doctorCommand(): Command {
  const command = new Command("doctor")
    .description("Look at the GPU adapter and check the engine on it against reference vectors")
    .option(
      "--reference <dir>",
      "a set of vectors (a folder with meta.json or losses.json), or a folder of such; left out, a built-in set",
    )
    .addHelpText(
      "after",
      "\nEvery largest deviation from float64 stands beside its tolerance; the exit status is 1 when one is exceeded.\n" +
        "Driver faults are notes: the engine avoids them.",
    );
  return addJsonFlag(command).action(async (flags: DoctorFlags) => {
    const report = await examine(flags.reference);
    console.log(flags.json ? JSON.stringify(report, plain) : describe(report));
    if (!report.ok) Deno.exitCode = 1;
  });
}

/** What `--json` prints. */
interface DoctorReport {
  /** Whether every check holds. */
  ok: boolean;
  /** The adapter's name. */
  adapter: string;
  vendor: string;
  architecture: string;
  /** Variable that chose the graphics interface, where it is set. */
  backend: string | null;
  /** Family of kernels and where their operands stand. */
  kernels: string;
  operands: string;
  features: string[];
  limits: Record<string, number>;
  checks: ReferenceCheck[];
  notes: DriverFault[];
}

async function examine(reference: string | undefined): Promise<DoctorReport> {
  // A wrong path is told before the adapter is looked for.
  const sets = reference === undefined ? [embeddedReference()] : await referenceFolders(userPath(reference));
  await ensureAdapter();
  const gpu = await openGpu();
  try {
    const checks: ReferenceCheck[] = [];
    for (const set of sets) {
      const prefix = sets.length === 1 ? "" : `${set.name}/`;
      for (const check of await checkReference(gpu, set)) {
        checks.push({ ...check, name: prefix + check.name });
      }
    }
    const notes = await findDriverFaults(gpu);
    gpu.check();
    return {
      ok: checks.every(({ ok }) => ok),
      adapter: gpu.adapter.name,
      vendor: gpu.adapter.vendor,
      architecture: gpu.adapter.architecture,
      backend: Deno.env.get("DENO_WEBGPU_BACKEND") ?? null,
      kernels: gpu.profile,
      operands: gpu.operands,
      features: gpu.adapter.features,
      limits: limitsOf(gpu),
      checks,
      notes,
    };
  } finally {
    gpu.close();
  }
}

function limitsOf(gpu: Gpu): Record<string, number> {
  const { limits } = gpu.device;
  return {
    max_buffer_bytes: gpu.maxBufferBytes,
    max_storage_binding_bytes: gpu.maxBindingBytes,
    max_storage_buffers: gpu.maxStorageBuffers,
    max_storage_textures: gpu.maxStorageTextures,
    max_texture_side: gpu.maxTextureSide,
    max_workgroup_storage_bytes: limits.maxComputeWorkgroupStorageSize,
    max_workgroup_invocations: limits.maxComputeInvocationsPerWorkgroup,
    max_workgroups_per_dimension: limits.maxComputeWorkgroupsPerDimension,
  };
}

/** JSON knows no NaN and no Infinity. */
function plain(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? null : value;
}

function describe(report: DoctorReport): string {
  const limit = ([name, value]: [string, number]) =>
    `  ${name.padEnd(30)}${name.endsWith("bytes") ? humanBytes(value) : value}`;
  const check = ({ name, max_abs_deviation, tolerance, ok }: ReferenceCheck) =>
    `  ${ok ? "ok  " : "FAIL"} ${name.padEnd(28)} ${max_abs_deviation.toExponential(2).padStart(9)}   ${
      tolerance.toExponential(0)
    }`;
  const note = ({ name, holds, detail }: DriverFault) =>
    `  ${holds === undefined ? "?    " : holds ? "fault" : "fine "} ${name.padEnd(18)} ${detail}`;
  const failed = report.checks.filter(({ ok }) => !ok).length;
  return [
    `adapter    ${report.adapter}`,
    `vendor     ${report.vendor || "unknown"}${report.architecture === "" ? "" : `, ${report.architecture}`}`,
    `backend    ${report.backend ?? "the system's default"}`,
    `kernels    ${report.kernels}, operands in ${report.operands}s`,
    `features   ${report.features.join(", ") || "none"}`,
    "limits",
    ...Object.entries(report.limits).map(limit),
    "reference  largest deviation   tolerance",
    ...report.checks.map(check),
    "driver",
    ...report.notes.map(note),
    failed === 0
      ? "The engine computes as it should here."
      : `${failed} of ${report.checks.length} checks failed.`,
  ].join("\n");
}
