/** One thing to time. What it computes must not depend on how often it has run. */
export interface Contender {
  readonly name: string;
  run(): void | Promise<void>;
}

/** Milliseconds of one run of each contender, by turn: `times[name][turn]`. */
export type Times = Readonly<Record<string, readonly number[]>>;

export interface TurnOptions {
  readonly turns: number;
  /** A sample repeats short runs until it takes about this long. */
  readonly sampleMs: number;
  /** Runs until this long has passed come before everything: compilers optimize what has run. */
  readonly warmUpMs: number;
}

/** The middle one of several measurements, and their ends: on a shared machine a single time says nothing. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/**
 * Times the contenders in turns, A B C A B C ..., so that whatever else the machine does meets all of them. Compare within
 * a turn (`ratios`), never across runs of the program.
 */
export async function inTurns(contenders: readonly Contender[], o: TurnOptions): Promise<Times> {
  const repeats: number[] = [];
  for (const contender of contenders) {
    const start = performance.now();
    let fastest = Infinity;
    do fastest = Math.min(fastest, await timed(contender, 1));
    while (performance.now() - start < o.warmUpMs);
    repeats.push(Math.max(1, Math.round(o.sampleMs / fastest)));
  }
  const times: Record<string, number[]> = Object.fromEntries(contenders.map((c) => [c.name, []]));
  for (let turn = 0; turn < o.turns; turn++) {
    for (const [i, contender] of contenders.entries()) {
      times[contender.name]!.push((await timed(contender, repeats[i]!)) / repeats[i]!);
    }
  }
  return times;
}

/**
 * Milliseconds: time on the clock, or of this process on a processor, whichever is less. When other programs run, the clock
 * counts their time too; when a runtime's own threads help (collecting garbage), the processor counts theirs.
 */
async function timed(contender: Contender, repeats: number): Promise<number> {
  const cpuStart = process.cpuUsage();
  const start = performance.now();
  for (let i = 0; i < repeats; i++) {
    const running = contender.run();
    if (running !== undefined) await running;
  }
  const clockMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpuStart);
  return Math.min(clockMs, (user + system) / 1000);
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/** `amount` per second, from the milliseconds of one run: give GFLOP, GB or tokens. */
export function rates(times: readonly number[], amount: number): number[] {
  return times.map((ms) => amount / (ms / 1000));
}

/** Turn by turn, how many times a goes into b: of rates, how much faster b is. */
export function ratios(b: readonly number[], a: readonly number[]): number[] {
  return b.map((value, turn) => value / a[turn]!);
}
