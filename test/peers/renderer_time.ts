import { readdirSync, readFileSync } from 'node:fs';

/**
 * Milliseconds for which the pages of the browsers that this process started have been on a processor, all threads together;
 * undefined where the system does not tell (it is Linux that does).
 */
export function rendererCpuMs(): number | undefined {
  let nanoseconds = 0;
  let nRenderers = 0;
  const parents = parentsOfAll();
  for (const pid of parents.keys()) {
    if (!isDescendant(pid, parents) || !read(`/proc/${pid}/cmdline`).includes('--type=renderer')) continue;
    nRenderers++;
    for (const task of list(`/proc/${pid}/task`)) {
      // Time on a processor, time waiting for one, and how often.
      nanoseconds += Number(read(`/proc/${pid}/task/${task}/schedstat`).split(' ')[0]);
    }
  }
  return nRenderers === 0 ? undefined : nanoseconds / 1e6;
}

/** The parent of every process. */
function parentsOfAll(): Map<number, number> {
  const pids = list('/proc').filter((name) => /^\d+$/.test(name));
  return new Map(
    pids.map((pid) => [Number(pid), Number(/^PPid:\s*(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0)]),
  );
}

function isDescendant(pid: number, parents: ReadonlyMap<number, number>): boolean {
  for (let at = pid; at > 1; at = parents.get(at) ?? 0) if (at === process.pid) return true;
  return false;
}

/** Processes and threads end while they are looked at: then there is nothing. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
