import { describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import { openModel } from '../../src/engine/load_model.ts';
import { writeGguf } from '../../src/load/gguf_writer.ts';
import { writeSafetensors } from '../../src/load/safetensors_writer.ts';
import { folderOf, watch } from '../load/sources.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);

describe('a model that cannot be understood', () => {
  test('an unknown architecture is said before what else a folder lacks', async () => {
    const folder = folderOf({
      'config.json': bytesOf('{"model_type":"gpt9"}'),
      'model.safetensors': writeSafetensors([]),
    });
    await expect(openModel({ kind: 'folder', folder })).rejects.toThrow('model_type is "gpt9"; known are llama');
    expect(folder.opened.map((source) => source.isClosed)).toEqual([true, true]);
  });

  test('leaves none of its shards open', async () => {
    const shard = (no: number) =>
      writeGguf({
        metadata: [
          ['general.architecture', 'string', 'unknown'],
          ['split.no', 'u16', no],
          ['split.count', 'u16', 2],
        ],
        tensors: [],
      });
    const folder = folderOf({ 'm-00002-of-00002.gguf': shard(1) });
    const source = watch(bufferSource('m-00001-of-00002.gguf', shard(0)));
    await expect(openModel({ kind: 'file', source, folder })).rejects.toThrow('architecture is "unknown"');
    expect([source, ...folder.opened].map((file) => file.isClosed)).toEqual([true, true]);
  });
});
