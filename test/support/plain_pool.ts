import type { DType } from '../../src/core/dtype.ts';
import type { KernelBuild } from '../../src/core/host.ts';
import { FORMAT_MODULES, type KernelFormat } from '../../src/exec/wasm/format_kernels.ts';
import type { CoreKernels, FormatKernels, Kernels } from '../../src/exec/wasm/kernels.ts';
import type { AnyKernel } from '../../src/exec/wasm/shares.ts';
import { type CallSplit, coreSplits } from '../../src/exec/wasm/splits.ts';
import type { ThreadPool } from '../../src/exec/wasm/thread_pool.ts';

/** What a rule makes of a call, perhaps made wrong. */
export type Change = (kernel: string, split: CallSplit) => CallSplit;

/** The plain definition of a pool: one share after the other, the last ones first, each by another thread's scratch. */
export function plainPool(
  kernels: ReadonlyMap<string, AnyKernel>,
  nThreads: number,
  change: Change = (_, split) => split,
  used: Set<string> = new Set(),
): ThreadPool {
  const names = [...kernels.keys()];
  return {
    nThreads,
    check() {},
    dispose() {},
    share(id, args, how) {
      const name = names[id]!;
      const { countAt, steps, scratch, grain, unitNs } = change(name, how);
      const nUnits = args[countAt]!;
      if (unitNs === 0 || nUnits <= grain) return false;
      used.add(name);
      const nShares = Math.ceil(nUnits / grain);
      for (let share = nShares - 1; share >= 0; share--) {
        const from = share * grain;
        const own = [...args];
        for (let i = 0; i < steps.length; i += 2) own[steps[i]!]! += from * steps[i + 1]!;
        if (scratch !== undefined) own[scratch.at]! += (share % nThreads) * scratch.nBytes;
        own[countAt] = Math.min(grain, nUnits - from);
        kernels.get(name)!(...own);
      }
      return true;
    },
  };
}

/** The kernels that a pool may be asked for, by module and name. */
export function kernelsByName(kernels: Kernels, build: KernelBuild, formats: Iterable<DType>): Map<string, AnyKernel> {
  const byName = new Map<string, AnyKernel>();
  for (const name of Object.keys(coreSplits(build))) {
    byName.set(`core.${name}`, kernels[name as keyof CoreKernels] as AnyKernel);
  }
  for (const dtype of formats) {
    const names: Partial<Record<string, string>> = FORMAT_MODULES[dtype as KernelFormat];
    for (const [kind, name] of Object.entries(names)) {
      byName.set(`${dtype}.${name}`, kernels.format(dtype)[kind as keyof FormatKernels] as AnyKernel);
    }
  }
  return byName;
}
