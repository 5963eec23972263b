// What workerd gives for files that its configuration embeds: a WebAssembly.Module, an ArrayBuffer.
declare module '*/kernels.mjs';
declare module '*.gguf';
