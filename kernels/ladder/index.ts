// The ladder's module: what this machine can do at most, beside which kernels are measured. Benched, never shipped.
export { peakF32 } from './peak_f32';
export { streamRead } from './stream_read';
