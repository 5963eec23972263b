import type { HuffmanTable, JpegBits } from './jpeg_bits.ts';
import { BLOCK, type Component, type Frame, type Scan, ZIGZAG } from './jpeg_frame.ts';

/** What a scan carries from block to block, reset at every restart marker. */
interface Carry {
  /** Of each part: the DC coefficient before. */
  readonly dc: Int32Array;
  /** Blocks whose band is known to have no more new coefficients. */
  endOfBand: number;
}

/**
 * Decodes the entropy-coded data of a scan into the coefficients of its components.
 * restartInterval: MCUs between two restart markers, 0 for none.
 * Throws FormatError when the data is damaged or ends too early.
 * Source: ITU-T T.81, F.2 (sequential) and G.2 (progressive).
 */
export function decodeScan(frame: Frame, scan: Scan, restartInterval: number, bits: JpegBits): void {
  const carry: Carry = { dc: new Int32Array(scan.parts.length), endOfBand: 0 };
  // A scan of one component has no MCUs: it goes through the blocks that hold samples, and only those.
  const alone = scan.parts.length === 1 ? scan.parts[0]!.component : null;
  const nX = alone?.nBlocksX ?? frame.nMcuX;
  const nUnits = nX * (alone?.nBlocksY ?? frame.nMcuY);
  for (let unit = 0; unit < nUnits; unit++) {
    if (restartInterval > 0 && unit > 0 && unit % restartInterval === 0) {
      bits.restart((unit / restartInterval - 1) & 7);
      carry.dc.fill(0);
      carry.endOfBand = 0;
    }
    const x = unit % nX;
    const y = (unit - x) / nX;
    if (alone !== null) {
      decodeBlock(frame, scan, 0, blockAt(alone, x, y), carry, bits);
      continue;
    }
    scan.parts.forEach(({ component }, part) => {
      const { h, v } = component;
      for (let j = 0; j < v; j++) {
        for (let i = 0; i < h; i++) {
          decodeBlock(frame, scan, part, blockAt(component, x * h + i, y * v + j), carry, bits);
        }
      }
    });
  }
}

function blockAt(component: Component, x: number, y: number): Int16Array {
  const at = BLOCK * (y * component.stride + x);
  return component.coefficients.subarray(at, at + BLOCK);
}

function decodeBlock(frame: Frame, scan: Scan, part: number, block: Int16Array, carry: Carry, bits: JpegBits): void {
  const { dc, ac } = scan.parts[part]!;
  if (scan.first === 0 && scan.isFirst) {
    carry.dc[part]! += dcDifference(dc!, bits);
    block[0] = carry.dc[part]! << scan.low;
    if (!frame.isProgressive) sequentialAc(ac!, block, bits);
  } else if (scan.first === 0) {
    if (bits.bits(1) === 1) block[0]! |= 1 << scan.low;
  } else if (scan.isFirst) firstAc(ac!, scan, block, carry, bits);
  else refineAc(ac!, scan, block, carry, bits);
}

function dcDifference(table: HuffmanTable, bits: JpegBits): number {
  const nBits = bits.symbol(table);
  if (nBits > 11) throw bits.error(`a DC difference has ${nBits} bits, pictures of 8 bits have at most 11`);
  return bits.signed(nBits);
}

/** T.81, F.2.2.2: run of zeros and size in one symbol; 00 ends the block, F0 are sixteen zeros. */
function sequentialAc(table: HuffmanTable, block: Int16Array, bits: JpegBits): void {
  for (let k = 1; k < BLOCK; k++) {
    const symbol = bits.symbol(table);
    const size = symbol & 15;
    if (size === 0) {
      if (symbol !== 0xf0) return;
      k += 15;
      continue;
    }
    k += symbol >> 4;
    if (k >= BLOCK) throw bits.error('a block has more than 64 coefficients');
    block[ZIGZAG[k]!] = bits.signed(size);
  }
}

/** T.81, G.1.2.2: as above for a band and without its lower bits; size 0 may end the band of many blocks at once. */
function firstAc(table: HuffmanTable, scan: Scan, block: Int16Array, carry: Carry, bits: JpegBits): void {
  if (carry.endOfBand > 0) {
    carry.endOfBand--;
    return;
  }
  for (let k = scan.first; k <= scan.last; k++) {
    const symbol = bits.symbol(table);
    const [run, size] = [symbol >> 4, symbol & 15];
    if (size === 0) {
      if (run < 15) {
        carry.endOfBand = (1 << run) + bits.bits(run) - 1;
        return;
      }
      k += 15;
      continue;
    }
    k += run;
    if (k > scan.last) throw bits.error('a block has more coefficients than its band');
    block[ZIGZAG[k]!] = bits.signed(size) << scan.low;
  }
}

/**
 * T.81, G.1.2.3: one more bit of every coefficient that is not zero, in between new ones of size 1. A run counts zeros only:
 * coefficients that it passes get their bit on the way.
 */
function refineAc(table: HuffmanTable, scan: Scan, block: Int16Array, carry: Carry, bits: JpegBits): void {
  const bit = 1 << scan.low;
  let k = scan.first;
  if (carry.endOfBand === 0) {
    for (; k <= scan.last; k++) {
      const symbol = bits.symbol(table);
      let run = symbol >> 4;
      let value = 0;
      if ((symbol & 15) === 1) value = bits.bits(1) === 1 ? bit : -bit;
      else if ((symbol & 15) !== 0) throw bits.error('a new coefficient of a refining scan has more than one bit');
      else if (run < 15) {
        carry.endOfBand = (1 << run) + bits.bits(run);
        break;
      }
      for (; k <= scan.last; k++) {
        const at = ZIGZAG[k]!;
        if (block[at] !== 0) refine(block, at, bit, bits);
        else if (run-- === 0) {
          if (value !== 0) block[at] = value;
          break;
        }
      }
      if (k > scan.last && value !== 0) throw bits.error('a block has more coefficients than its band');
    }
  }
  if (carry.endOfBand === 0) return;
  for (; k <= scan.last; k++) if (block[ZIGZAG[k]!] !== 0) refine(block, ZIGZAG[k]!, bit, bits);
  carry.endOfBand--;
}

/** The bit makes the coefficient larger in size, whatever its sign; one that has it already was sent twice. */
function refine(block: Int16Array, at: number, bit: number, bits: JpegBits): void {
  const value = block[at]!;
  if (bits.bits(1) === 1 && (value & bit) === 0) block[at] = value + (value > 0 ? bit : -bit);
}
