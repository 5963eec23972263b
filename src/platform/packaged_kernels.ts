import type { KernelBuild } from '../core/host.ts';
import type { KernelFormat } from '../exec/wasm/format_kernels.ts';

type Addresses = Readonly<Record<'core' | KernelFormat, URL>>;

/**
 * The kernels in the package, as bundlers that know `new URL(..., import.meta.url)` find and copy them: they read the text, so
 * each address stands here whole. It is the same from src/platform and from dist/platform.
 * Called where nothing else was given: in edge runtimes this module may have no address.
 */
export function packagedKernels(): Readonly<Record<KernelBuild, Addresses>> {
  return {
    simd: {
      core: new URL('../../dist/wasm/simd/core.wasm', import.meta.url),
      f32: new URL('../../dist/wasm/simd/f32.wasm', import.meta.url),
      f16: new URL('../../dist/wasm/simd/f16.wasm', import.meta.url),
      bf16: new URL('../../dist/wasm/simd/bf16.wasm', import.meta.url),
      q8_0: new URL('../../dist/wasm/simd/q8_0.wasm', import.meta.url),
      q4_0: new URL('../../dist/wasm/simd/q4_0.wasm', import.meta.url),
      q4_k: new URL('../../dist/wasm/simd/q4_k.wasm', import.meta.url),
      q6_k: new URL('../../dist/wasm/simd/q6_k.wasm', import.meta.url),
      q5_k: new URL('../../dist/wasm/simd/q5_k.wasm', import.meta.url),
      q2_k: new URL('../../dist/wasm/simd/q2_k.wasm', import.meta.url),
      q3_k: new URL('../../dist/wasm/simd/q3_k.wasm', import.meta.url),
      iq4_xs: new URL('../../dist/wasm/simd/iq4_xs.wasm', import.meta.url),
      q4_1: new URL('../../dist/wasm/simd/q4_1.wasm', import.meta.url),
      q5_0: new URL('../../dist/wasm/simd/q5_0.wasm', import.meta.url),
      q5_1: new URL('../../dist/wasm/simd/q5_1.wasm', import.meta.url),
      iq4_nl: new URL('../../dist/wasm/simd/iq4_nl.wasm', import.meta.url),
      mxfp4: new URL('../../dist/wasm/simd/mxfp4.wasm', import.meta.url),
    },
    relaxed: {
      core: new URL('../../dist/wasm/relaxed/core.wasm', import.meta.url),
      f32: new URL('../../dist/wasm/relaxed/f32.wasm', import.meta.url),
      f16: new URL('../../dist/wasm/relaxed/f16.wasm', import.meta.url),
      bf16: new URL('../../dist/wasm/relaxed/bf16.wasm', import.meta.url),
      q8_0: new URL('../../dist/wasm/relaxed/q8_0.wasm', import.meta.url),
      q4_0: new URL('../../dist/wasm/relaxed/q4_0.wasm', import.meta.url),
      q4_k: new URL('../../dist/wasm/relaxed/q4_k.wasm', import.meta.url),
      q6_k: new URL('../../dist/wasm/relaxed/q6_k.wasm', import.meta.url),
      q5_k: new URL('../../dist/wasm/relaxed/q5_k.wasm', import.meta.url),
      q2_k: new URL('../../dist/wasm/relaxed/q2_k.wasm', import.meta.url),
      q3_k: new URL('../../dist/wasm/relaxed/q3_k.wasm', import.meta.url),
      iq4_xs: new URL('../../dist/wasm/relaxed/iq4_xs.wasm', import.meta.url),
      q4_1: new URL('../../dist/wasm/relaxed/q4_1.wasm', import.meta.url),
      q5_0: new URL('../../dist/wasm/relaxed/q5_0.wasm', import.meta.url),
      q5_1: new URL('../../dist/wasm/relaxed/q5_1.wasm', import.meta.url),
      iq4_nl: new URL('../../dist/wasm/relaxed/iq4_nl.wasm', import.meta.url),
      mxfp4: new URL('../../dist/wasm/relaxed/mxfp4.wasm', import.meta.url),
    },
  };
}
