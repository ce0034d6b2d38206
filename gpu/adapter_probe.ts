/**
 * The worker of `probeAdapter`: asks for an adapter and posts its name, or null. A worker has a WebGPU instance of its
 * own, so that an answer of "none" does not stick to the process: Deno keeps the first instance it makes, and one that
 * was made before a driver was installed never sees that driver.
 */

const gpu = (navigator as { gpu?: GPU }).gpu;
const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" });
self.postMessage(adapter ? adapter.info.description || adapter.info.device || "unknown adapter" : null);
