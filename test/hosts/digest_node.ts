import { createNodeHost, openNodeModel } from '../../src/platform/node.ts';
import { computeDigests } from './digest.ts';

/** Entry for hosts with Node's modules (Node, Deno, Bun): arguments are the prompt's ids; prints one line of JSON. */
const host = createNodeHost();
const prompt = process.argv.slice(2).map(Number);
const digests = await computeDigests(() => openNodeModel('embedded'), host, prompt);
process.stdout.write(`${JSON.stringify({ host: host.description, digests })}\n`);
