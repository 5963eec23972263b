// An edge runtime compiles nothing at run time: the kernels are modules that it compiled when the worker was uploaded.

import { createBrowserHost, openBrowserModel } from '../../src/platform/browser.ts';
import { computeDigests } from './digest.ts';
import kernels from './kernels.mjs';
import model from './model.gguf';

/** Entry for workerd: the `test` handler of `workerd test`. Prints the same line of JSON as digest_node.ts. */
const worker = {
  async test(_controller: unknown, env: { readonly prompt: readonly number[] }): Promise<void> {
    const host = createBrowserHost(kernels);
    const digests = await computeDigests(() => openBrowserModel(model), host, env.prompt);
    console.log(JSON.stringify({ host: host.description, digests }));
  },
};

// biome-ignore lint/style/noDefaultExport: workerd looks for the handlers in the module's default export.
export default worker;
