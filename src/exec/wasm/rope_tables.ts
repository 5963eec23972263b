import { type RopeSpec, ropeTable } from '../../ops/rope_table.ts';
import type { Arena } from './arena.ts';

/** The rope angles in WASM memory. */
export interface RopeTables {
  /** Makes every table reach positions 0 .. nPositions-1. */
  reach(nPositions: number): void;
  /** Byte addresses of cos and sin, f32 [reach, ropeDim / 2] each. */
  at(table: number): { readonly cos: number; readonly sin: number; readonly ropeDim: number };
}

const FIRST_REACH = 256;

/** Bytes that tables take at most while a sequence grows to nPositions: one of twice that, and the one before it. */
export function ropeTableBytes(specs: readonly RopeSpec[], nPositions: number): number {
  const reach = Math.max(2 * nPositions, FIRST_REACH);
  const perPosition = specs.reduce((n, spec) => n + 2 * spec.frequencies.length, 0) * Float32Array.BYTES_PER_ELEMENT;
  return (reach + nPositions) * perPosition;
}

/** Tables are made on demand and doubled: float64 sines for a context of 131,072 would take a second that a short story never needs. */
export function createRopeTables(specs: readonly RopeSpec[], arena: Arena): RopeTables {
  const tables = specs.map((spec) => ({ cos: 0, sin: 0, ropeDim: 2 * spec.frequencies.length }));
  let reached = 0;
  return {
    reach(nPositions) {
      if (nPositions <= reached) return;
      const next = Math.max(nPositions, 2 * reached, FIRST_REACH);
      specs.forEach((spec, i) => {
        const { cos, sin } = ropeTable(spec, next);
        const table = tables[i]!;
        // Before the old one is given back: that one stays when this throws.
        const address = arena.alloc((cos.length + sin.length) * cos.BYTES_PER_ELEMENT);
        if (reached > 0) arena.free(table.cos);
        table.cos = address;
        table.sin = address + cos.byteLength;
        arena.f32(table.cos, cos.length).set(cos);
        arena.f32(table.sin, sin.length).set(sin);
      });
      reached = next;
    },
    at: (table) => tables[table]!,
  };
}
