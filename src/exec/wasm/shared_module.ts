import { assert } from '../../core/errors.ts';

/** WebAssembly core specification 3.0, 5.5: a header of 8 bytes, then sections of (id, size, content). */
const HEADER_BYTES = 8;
const IMPORT_SECTION = 2;
const MEMORY_KIND = 2;
const HAS_MAXIMUM = 0x01;
const SHARED_WITH_MAXIMUM = 0x03;

/**
 * The same kernel module for a memory that threads share: a module says in one byte of its only import, the memory's limits,
 * whether that memory is shared, and nothing else differs. So one file serves both.
 */
export function sharedTwin(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const twin = bytes.slice();
  let at = HEADER_BYTES;
  /** An unsigned LEB128 number. */
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = twin[at++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  const skipName = (): void => {
    const n = number();
    at += n;
  };
  while (at < twin.length) {
    const id = twin[at++]!;
    const size = number();
    if (id !== IMPORT_SECTION) {
      at += size;
      continue;
    }
    const nImports = number();
    skipName();
    skipName();
    assert(nImports === 1 && twin[at++] === MEMORY_KIND, 'a kernel module imports its memory alone');
    assert(twin[at] === HAS_MAXIMUM, 'the memory of a kernel module has a maximum');
    twin[at] = SHARED_WITH_MAXIMUM;
    return twin;
  }
  assert(false, 'a kernel module imports its memory');
}
