import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CapacityError } from '../../../src/core/errors.ts';
import { createArena, createMemory } from '../../../src/exec/wasm/arena.ts';
import { SEARCH } from '../../support/mutant_search.ts';

const PAGE = 65_536;

describe('arena', () => {
  test('arrays start behind the module and at their alignment', () => {
    const arena = createArena(createMemory(), 1037);
    expect(arena.alloc(1)).toBe(1040);
    expect(arena.alloc(5, 256) % 256).toBe(0);
    expect(arena.alloc(0)).not.toBe(arena.alloc(0)); // empty arrays have addresses of their own
  });

  test('memory grows when it is full, and views see it', () => {
    const arena = createArena(createMemory(), 0);
    const address = arena.alloc(3 * PAGE);
    const view = arena.f32(address, 10);
    view.fill(1.5);
    arena.alloc(2 ** 26);
    expect(view.length).toBe(0); // detached: why views are taken for each use
    expect([...arena.f32(address, 10)]).toEqual(new Array(10).fill(1.5));
  });

  test('holes that touch become one', () => {
    const arena = createArena(createMemory(), 0, PAGE);
    const parts = [0, 1, 2, 3].map(() => arena.alloc(PAGE / 4));
    expect(() => arena.alloc(16)).toThrow(CapacityError);
    for (const i of [0, 2, 1, 3]) arena.free(parts[i]!);
    expect(arena.alloc(PAGE)).toBe(0);
  });

  test('a full memory names what was asked for and the limit', () => {
    const arena = createArena(createMemory(), 0, 4 * PAGE);
    arena.alloc(PAGE);
    expect(() => arena.alloc(4 * PAGE)).toThrow(
      new CapacityError(
        'wasm memory: 262144 more bytes need 327680 in all, the limit is 262144; ' +
          'use a smaller model, a smaller format or a shorter context',
      ),
    );
    expect(() => arena.reserve(3 * PAGE)).not.toThrow();
    expect(() => arena.reserve(3 * PAGE + 1)).toThrow(CapacityError);
    expect(arena.alloc(3 * PAGE)).toBe(PAGE); // the refusal changed nothing
  });

  test('what was reserved needs no growth later', () => {
    const arena = createArena(createMemory(), 0);
    arena.reserve(2 ** 26);
    const view = arena.bytes(arena.alloc(16), 16);
    for (let i = 0; i < 15; i++) arena.alloc(2 ** 22);
    expect(view.length).toBe(16); // not detached
    const refused = createArena(new WebAssembly.Memory({ initial: 1, maximum: 2 }), 0);
    expect(() => refused.reserve(3 * PAGE)).toThrow(/the host refuses to grow it from 65536 to 196608 bytes/);
  });

  test('more than 4 GiB is refused before the host is asked', () => {
    const arena = createArena(createMemory(), 0);
    expect(() => arena.alloc(2 ** 32 + 1)).toThrow(CapacityError);
    expect(arena.memory.buffer.byteLength).toBe(PAGE);
  });

  test('a memory that the host cannot grow is a CapacityError', () => {
    const arena = createArena(new WebAssembly.Memory({ initial: 1, maximum: 2 }), 0);
    expect(() => arena.alloc(3 * PAGE)).toThrow(/refuses to grow it from 65536 to 196608 bytes/);
    expect(arena.alloc(2 * PAGE)).toBe(0);
  });

  test('pages that someone else added are used', () => {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2 });
    const arena = createArena(memory, 0);
    memory.grow(1);
    expect(arena.alloc(2 * PAGE)).toBe(0);
  });

  test('freeing what is not allocated is a bug that shows', () => {
    const arena = createArena(createMemory(), 0);
    const address = arena.alloc(64);
    arena.free(address);
    expect(() => arena.free(address)).toThrow(/is allocated/);
    expect(() => arena.alloc(-1)).toThrow(/is a count/);
    expect(() => arena.alloc(16, 24)).toThrow(/power of two/);
  });

  test('a disposed arena gives nothing any more', () => {
    const arena = createArena(createMemory(), 0);
    const address = arena.alloc(64);
    arena.dispose();
    expect(() => arena.free(address)).not.toThrow();
    expect(() => arena.alloc(64)).toThrow(/disposed/);
    expect(() => arena.f32(address, 1)).toThrow(/disposed/);
  });

  /** Any history of alloc and free: arrays never overlap, keep their bytes, and all room comes back. */
  const histories = fc.array(
    fc.oneof(
      fc.record({ nBytes: fc.nat(9000), align: fc.constantFrom(1, 16, 64, 4096) }),
      fc.record({ freed: fc.nat(1000) }),
    ),
    { maxLength: 60 },
  );
  type Free = (free: (address: number) => void, address: number) => void;
  const keepsArraysApart = (free: Free) =>
    fc.property(histories, fc.nat(100), (history, start) => {
      const arena = createArena(createMemory(), start, 16 * PAGE);
      const live: { address: number; nBytes: number; mark: number }[] = [];
      history.forEach((step, mark) => {
        if ('freed' in step) {
          const [gone] = live.splice(step.freed % Math.max(live.length, 1), 1);
          if (gone !== undefined) free(arena.free, gone.address);
        } else {
          const address = arena.alloc(step.nBytes, step.align);
          expect(address % Math.max(step.align, 16)).toBe(0);
          expect(address).toBeGreaterThanOrEqual(start);
          arena.bytes(address, step.nBytes).fill(mark);
          live.push({ address, nBytes: step.nBytes, mark });
        }
        for (const { address, nBytes, mark: kept } of live) {
          expect(arena.bytes(address, nBytes).every((b) => b === kept)).toBe(true);
        }
      });
      for (const { address } of live) free(arena.free, address);
      expect(arena.bytesInUse).toBe(0);
      arena.alloc(16 * PAGE - 4096, 16); // one hole again
    });

  test('histories keep arrays apart', () => fc.assert(keepsArraysApart((free, address) => free(address))));

  test('and an arena that loses what is freed is caught', () => {
    expect(
      fc.check(
        keepsArraysApart(() => {}),
        SEARCH,
      ).failed,
    ).toBe(true);
  });
});
