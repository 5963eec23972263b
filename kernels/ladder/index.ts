// The ladder's module: a matrix product in steps, and what this machine can do at most, beside which kernels are measured.
// Step 7 (relaxed.ts) needs more than plain SIMD and is a module of its own. Benched, never shipped. See docs/kernels.md.
export { linearInteger } from './integer';
export { linearLanes } from './lanes';
export { linearNaive } from './naive';
export { linearPacked } from './packed';
export { peakF32 } from './peak_f32';
export { streamRead } from './stream_read';
export { linearTiled } from './tiled';
export { linearUnrolled } from './unrolled';
