import type { DType } from '../../core/dtype.ts';
import type { KernelBuild, KernelModule } from '../../core/host.ts';
import { exportNames, type KernelFormat } from './format_kernels.ts';
import type { CoreKernels, DotForm, FormatKernels, Kernels } from './kernels.ts';
import { coreSplits, formatSplits, type SplitOf } from './splits.ts';
import type { ThreadPool } from './thread_pool.ts';

type Call = (...args: never[]) => unknown;

/**
 * The same kernels, each call shared out between a pool's threads where that pays: callers see no difference.
 * kernelId: the pool's number of a module's export.
 */
export function splitKernels(
  kernels: Kernels,
  build: KernelBuild,
  formats: Iterable<DType>,
  pool: ThreadPool,
  kernelId: (module: KernelModule, name: string) => number,
  forms: ReadonlyMap<DType, DotForm> = new Map(),
): Kernels {
  const split = <K extends Call>(whole: K, id: number, splitOf: SplitOf<K>): K => {
    const call = (...args: Parameters<K>): unknown => {
      const how = splitOf(...args);
      return pool.share(id, args as readonly number[], how) ? undefined : whole(...args);
    };
    return call as unknown as K;
  };

  const core: Record<string, unknown> = { ...kernels };
  for (const [name, splitOf] of Object.entries(coreSplits(build))) {
    if (splitOf === null) continue;
    core[name] = split(kernels[name as keyof CoreKernels] as Call, kernelId('core', name), splitOf as SplitOf<Call>);
  }

  const tables = new Map<DType, FormatKernels>();
  for (const dtype of formats) {
    const whole = kernels.format(dtype);
    const table: Record<string, unknown> = { ...whole };
    for (const [kind, splitOf] of Object.entries(formatSplits(dtype))) {
      const kernel = whole[kind as keyof FormatKernels];
      if (splitOf === null || kernel === undefined) continue;
      const names = exportNames(dtype as KernelFormat, forms.get(dtype) ?? 'pairs');
      table[kind] = split(
        kernel as Call,
        kernelId(dtype, names[kind as keyof FormatKernels]!),
        splitOf as SplitOf<Call>,
      );
    }
    tables.set(dtype, table as unknown as FormatKernels);
  }
  return {
    ...(core as unknown as CoreKernels),
    format: (dtype) => tables.get(dtype) ?? kernels.format(dtype),
  };
}
