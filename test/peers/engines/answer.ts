import { type Ladder, loadLadder } from '../../bench/ladder.ts';
import type { Answer, Call, Engine, OpenOptions, Sample } from './engine.ts';

/** The child's side: opens one engine, and runs and times it as the parent asks, until the parent is gone. */
export function answerCalls(open: (options: OpenOptions) => Promise<Engine>): void {
  let engine: Engine | undefined;
  let ladder: Ladder | undefined;
  const answer = async (call: Call): Promise<Answer> => {
    if (call.name === 'open') {
      const sample = await timed(async () => {
        engine = await open(call.options);
      });
      const { node, v8 } = process.versions;
      return { sample, version: engine!.version, weightBytes: engine!.weightBytes, node: { node, v8 } };
    }
    if (engine === undefined) throw new Error(`${call.name} before open`);
    if (call.name === 'stream') {
      ladder ??= await loadLadder();
      const { stream } = ladder;
      for (let i = 0; i < STREAM_WARM_UPS; i++) stream.run();
      return { sample: await timed(async () => stream.run()) };
    }
    if (call.name === 'logits') return { logits: await engine.logits(call.ids) };
    const { name, nTokens } = call;
    if (name === 'prefill') {
      await engine.clear();
      await engine.append(tokensFrom(0, WARM_UP_TOKENS));
      await engine.clear();
      return { sample: await timed(() => engine!.append(tokensFrom(0, nTokens))) };
    }
    await engine.clear();
    await engine.append(tokensFrom(0, call.after));
    return {
      sample: await timed(async () => {
        for (let t = 0; t < nTokens; t++) await engine!.append(tokensFrom(call.after + t, 1));
      }),
    };
  };
  process.on('message', (call: Call) => {
    answer(call).then(
      (reply) => process.send!(reply),
      (e) => process.send!({ error: e instanceof Error ? (e.stack ?? e.message) : String(e) }),
    );
  });
  process.on('disconnect', () => process.exit(0));
}

/**
 * Untimed, before a sample (a prompt does it before decoding): the first read of memory that waited while others had their turns was seen to
 * take up to ten times as long as the next one.
 */
const STREAM_WARM_UPS = 3;
const WARM_UP_TOKENS = 32;

/** Any ids do: the rows of a random model cost the same. A prime step takes them from all over a vocabulary. */
function tokensFrom(position: number, count: number): number[] {
  return Array.from({ length: count }, (_, t) => FIRST_ID + (((position + t) * ID_STEP) % ID_RANGE));
}

const FIRST_ID = 300;
const ID_STEP = 7919;
const ID_RANGE = 40_000;

async function timed(work: () => Promise<void>): Promise<Sample> {
  const cpuStart = process.cpuUsage();
  const start = performance.now();
  await work();
  const clockMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpuStart);
  return { clockMs, cpuMs: (user + system) / 1000, peakRssBytes: process.resourceUsage().maxRSS * 1024 };
}
