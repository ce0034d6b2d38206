/** The door of `gpu/`: the compute engine. It knows matrices, kernels and devices, nothing of language models. */

export { setAdapterEnvironment } from "./adapter_environment.ts";
export { type AdapterSetupOptions, ensureAdapter, probeAdapter } from "./adapter_setup.ts";
export { gradients } from "./autodiff.ts";
export {
  type AdapterIdentity,
  type Gpu,
  type GpuOptions,
  type KernelProfile,
  openGpu,
  type OperandStorage,
} from "./device.ts";
export { type DriverFault, findDriverFaults } from "./driver_faults.ts";
export { driverVersion } from "./driver_version.ts";
export { type Axis, axis, Graph, logicalLength, physicalLength, rowsOf, type Tensor } from "./graph.ts";
export { KernelCache, type ReadyDispatch } from "./kernel.ts";
export {
  attention,
  type AttentionOptions,
  type AttentionVariant,
  cacheAppend,
  cachedAttention,
  type CachedAttentionOptions,
  type Sparsity,
  standardAttention,
} from "./kernels/attention/mod.ts";
export { headLoss, IGNORE_TARGET } from "./kernels/cross_entropy/mod.ts";
export { add, dropout, gelu, identity, reluSquared, scale, swiglu } from "./kernels/elementwise/mod.ts";
export { embedding, tokenIndex, tokenIndexLength } from "./kernels/embedding/mod.ts";
export {
  decodeAttention,
  type DecodeCache,
  decodeLanes,
  decodeLinear,
  type DecodeNorm,
  type PackedWeight,
  packedWeight,
  packWeight,
  type WeightPrecision,
} from "./kernels/decode/mod.ts";
export { headNorm, type HeadNormOptions } from "./kernels/head_norm/mod.ts";
export { layerNorm } from "./kernels/layer_norm/mod.ts";
export { checkHalfPrecision } from "./half_precision.ts";
export { benchmarkMatmul, type MatmulShape, type MatmulSpeed } from "./kernels/matmul/benchmark.ts";
export { lastRow, linear, matmul, matmulTransposed } from "./kernels/matmul/mod.ts";
export { rmsNorm } from "./kernels/rms_norm/mod.ts";
export { BROKEN_LOGITS, sample, SAMPLE_RING } from "./kernels/sample/mod.ts";
export { rotary, type RotaryOptions, rotaryTable } from "./kernels/rotary/mod.ts";
export { Optimizer } from "./optimizer/mod.ts";
export { FIRST_LOSS_SCALE, LOSS_SCALE_LENGTH, type LossScale } from "./optimizer/loss_scale.ts";
export { orthogonalWork } from "./optimizer/muon.ts";
export type { OptimizerOptions } from "./optimizer/rule.ts";
export {
  defaultMomentum,
  type OptimizerName,
  OPTIMIZERS,
  planeBytes,
  type StateName,
  type StatePlane,
  statePlanes,
} from "./optimizer/state.ts";
export type { Elements } from "./matrix.ts";
export {
  blockCount,
  layoutParameters,
  type ParameterLayout,
  type ParameterSpec,
} from "./parameter_layout.ts";
export { ParameterStore, type Plane, type StoreOptions } from "./parameters.ts";
export { type Plan, plan, type PlanTarget, type ProgramMemory } from "./plan.ts";
export {
  chromeTrace,
  type KernelSummary,
  type KernelTime,
  Profiler,
  profileTable,
  replay,
  type StepSeconds,
  stepSeconds,
  summarise,
  timestampsMeasure,
} from "./profile.ts";
export { MIXED_PRECISION, type MixedPrecision } from "./storage.ts";
export {
  candidateTarget,
  type Choice,
  type Choices,
  choicesOf,
  isValid,
  type Site,
  siteKey,
  tune,
  type TunedKernel,
  type TuneOptions,
  type TuningSite,
  tuningSites,
  winners,
} from "./tuning/mod.ts";
export { type WarmUp, warmUp } from "./warm_up.ts";
export { Program, type StepValues } from "./program.ts";
export { readBuffer } from "./readback.ts";
export { RingReader } from "./ring_reader.ts";
