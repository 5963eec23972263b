import { add, type DoubleDouble, twoProduct, twoSum } from './double_double.ts';
import { ConfigError } from './errors.ts';
import { roundTiesToEven } from './rounding.ts';

/** sin and cos in f64; see math.ts for what they promise. Angles are in radians. */

/** pi / 2 in three parts, 160 bits. */
const HALF_PI: readonly [number, number, number] = [1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33];
const TWO_OVER_PI = 0.6366197723675814;

/**
 * Largest |x|. Below it the quadrant fits an i32, and the 160 bits of pi / 2 leave at least 60 correct bits in the reduced
 * angle, however near x is to a multiple of pi / 2 (no f64 from 1 to 2^31 comes closer than 2^-60.5).
 */
const MAX_ANGLE = 2 ** 31;

/** sin x. NaN and infinities -> NaN; +-0 -> +-0. Throws ConfigError for finite |x| > 2^31. */
export function sin(x: number): number {
  if (!Number.isFinite(x)) return NaN;
  const { quadrant, angle } = reduce('sin', Math.abs(x));
  const value = quadrant & 1 ? cosOf(angle) : sinOf(angle);
  const ofMagnitude = quadrant & 2 ? -value : value;
  return x < 0 || Object.is(x, -0) ? -ofMagnitude : ofMagnitude;
}

/** cos x. NaN and infinities -> NaN. Throws ConfigError for finite |x| > 2^31. */
export function cos(x: number): number {
  if (!Number.isFinite(x)) return NaN;
  const { quadrant, angle } = reduce('cos', Math.abs(x));
  const value = quadrant & 1 ? sinOf(angle) : cosOf(angle);
  return quadrant === 1 || quadrant === 2 ? -value : value;
}

/** x = n pi / 2 + angle with |angle| <= pi / 4 (a little more where n is rounded); quadrant = n mod 4. */
function reduce(name: string, x: number): { quadrant: number; angle: DoubleDouble } {
  if (x > MAX_ANGLE) {
    throw new ConfigError(
      `${name}: angle ${x} is above ${MAX_ANGLE}, where it cannot be reduced; use smaller positions`,
    );
  }
  const n = roundTiesToEven(x * TWO_OVER_PI);
  if (n === 0) return { quadrant: 0, angle: { high: x, low: 0 } };

  const first = twoProduct(n, HALF_PI[0]);
  const second = twoProduct(n, HALF_PI[1]);
  const head = twoSum(x - first.high, -first.low); // the subtraction is exact: the two are within a factor of 2
  const middle = add(head, { high: -second.high, low: -second.low });
  return { quadrant: n & 3, angle: add(middle, { high: -n * HALF_PI[2], low: 0 }) };
}

/** sin(r + low) = r - r^3/3! + r^5/5! - ... + low cos r. The first omitted term, r^19 / 19!, is 2^-63 at pi / 4. */
function sinOf({ high: r, low }: DoubleDouble): number {
  const z = r * r;
  let q = 1 / 355687428096000; // 1 / 17!
  q = q * z - 1 / 1307674368000;
  q = q * z + 1 / 6227020800;
  q = q * z - 1 / 39916800;
  q = q * z + 1 / 362880;
  q = q * z - 1 / 5040;
  q = q * z + 1 / 120;
  q = q * z - 1 / 6;
  return r + (r * z * q + low * (1 - z / 2));
}

/** cos(r + low) = 1 - r^2/2! + r^4/4! - ... - low sin r. The first omitted term, r^18 / 18!, is 2^-58 at pi / 4. */
function cosOf({ high: r, low }: DoubleDouble): number {
  const z = r * r;
  let q = 1 / 20922789888000; // 1 / 16!
  q = q * z - 1 / 87178291200;
  q = q * z + 1 / 479001600;
  q = q * z - 1 / 3628800;
  q = q * z + 1 / 40320;
  q = q * z - 1 / 720;
  q = q * z + 1 / 24;
  const halfSquare = z / 2;
  const head = 1 - halfSquare;
  // 1 - head - halfSquare is what the subtraction above lost, exactly.
  return head + (1 - head - halfSquare + (z * z * q - r * low));
}
