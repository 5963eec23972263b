import type { Graph } from '../graph/ir.ts';

/**
 * Reads a graph that `inspect --save-graph` wrote. Whether it is of a model is asked when that is loaded.
 * Throws FormatError where it is not JSON, ConfigError where it is no graph, CapacityError where it is larger than any.
 */
export async function readGraphFile(path: string): Promise<Graph> {
  const { openNodeFile } = await import('../platform/node_file.ts');
  const { readJsonObject } = await import('../load/json_file.ts');
  const { graphFromJson } = await import('../graph/graph_json.ts');
  const source = await openNodeFile(path);
  try {
    return graphFromJson(await readJsonObject(source), source.name);
  } finally {
    await source.close();
  }
}
