import type { WorkerStart } from '../../core/host.ts';
import { type AnyKernel, openControl, serveShares } from './shares.ts';

/**
 * What every host's worker runs: the same kernels over the same memory as the main thread's. Returns when the pool stops.
 * Instantiating writes a module's constants again, the same bytes to the same place. Throws what linking and kernels throw.
 */
export async function serve(start: WorkerStart, onReady: () => void): Promise<void> {
  const env = { memory: start.memory as WebAssembly.Memory };
  const instances = await Promise.all(start.modules.map((module) => WebAssembly.instantiate(module, { env })));
  const kernels = start.kernels.map(([module, name]) => instances[module]!.exports[name] as AnyKernel);
  onReady();
  serveShares(openControl(start.control), kernels, start.thread);
}
