import { chars, choice, EMPTY, type Expression, NEVER, repeat, sequence, text } from '../grammar/expression.ts';

/** A bound of numbers; `isOpen`: the bound itself is out. */
export interface Bound {
  readonly value: number;
  readonly isOpen: boolean;
}

/** Integers and decimals of at most so many digits are told apart by doubles. */
export const EXACT_DIGITS = 15;

/** The largest integer of that many digits: what is generated where no bound says otherwise. */
const LARGEST = 10 ** EXACT_DIGITS - 1;

/** Integers between two bounds, in digits; -0 is not among them. Bounds beyond 2^53 are cut to it. */
export function integersBetween(min: Bound | undefined, max: Bound | undefined): Expression {
  const low = min === undefined ? undefined : Math.max(lowestInteger(min), -Number.MAX_SAFE_INTEGER);
  const high =
    max === undefined ? undefined : Math.min(-lowestInteger({ ...max, value: -max.value }), Number.MAX_SAFE_INTEGER);
  const from = low ?? (high! < -LARGEST ? -Number.MAX_SAFE_INTEGER : -LARGEST);
  const to = high ?? (from > LARGEST ? Number.MAX_SAFE_INTEGER : LARGEST);
  const negative = from < 0 ? [sequence(text('-'), naturals(Math.max(1, -to), -from))] : [];
  return choice(...negative, naturals(Math.max(0, from), to));
}

/** The lowest integer that the bound lets in. */
function lowestInteger({ value, isOpen }: Bound): number {
  return isOpen ? Math.floor(value) + 1 : Math.ceil(value);
}

/** Whole numbers from..to >= 0, without leading zeros. */
function naturals(from: number, to: number): Expression {
  if (!(from <= to)) return NEVER;
  const [first, last] = [String(from), String(to)];
  const lengths: Expression[] = [];
  for (let n = first.length; n <= last.length; n++) {
    const low = n === first.length ? first : `1${'0'.repeat(n - 1)}`;
    const high = n === last.length ? last : '9'.repeat(n);
    lengths.push(digitsBetween(low, high));
  }
  return choice(...lengths);
}

/** All texts of n digits from `low` to `high`, which have n digits, low <= high. */
function digitsBetween(low: string | undefined, high: string | undefined, n = (low ?? high)!.length): Expression {
  if (n === 0) return EMPTY;
  if (low === undefined && high === undefined) return repeat(chars('09'), n, n);
  return byFirstDigit(low, high, (isLow, isHigh) =>
    digitsBetween(isLow ? low!.slice(1) : undefined, isHigh ? high!.slice(1) : undefined, n - 1),
  );
}

/** One digit between the first ones of low and high (undefined: no bound), then what `rest` gives for a digit at a bound. */
function byFirstDigit(
  low: string | undefined,
  high: string | undefined,
  rest: (isLow: boolean, isHigh: boolean) => Expression,
): Expression {
  const from = low === undefined ? 0 : Number(low[0]);
  const to = high === undefined ? 9 : Number(high[0]);
  const ways: Expression[] = [];
  const isLowApart = low !== undefined;
  const isHighApart = high !== undefined && !(isLowApart && from === to);
  if (isLowApart && from <= to) ways.push(sequence(text(String(from)), rest(true, high !== undefined && from === to)));
  const [a, b] = [isLowApart ? from + 1 : from, isHighApart ? to - 1 : to];
  if (a <= b) ways.push(sequence(chars(`${a}${b}`), rest(false, false)));
  if (isHighApart && from <= to) ways.push(sequence(text(String(to)), rest(false, true)));
  return choice(...ways);
}

/**
 * Decimals between two bounds, without exponent, of at most EXACT_DIGITS digits: such decimals and their doubles rise together,
 * so that what is between the bounds in digits is so in doubles. Undefined when a bound has more digits itself.
 */
export function decimalsBetween(min: Bound | undefined, max: Bound | undefined): Expression | undefined {
  const low = min === undefined ? undefined : digitsOf(min);
  const high = max === undefined ? undefined : digitsOf(max);
  if (low === null || high === null) return undefined;
  const isLowNegative = low === undefined || low.isNegative;
  const isHighPositive = high === undefined || !high.isNegative;
  const ways: Expression[] = [];
  if (isLowNegative) {
    // -x for x from |high| (from above 0 where high is not negative) to |low|.
    const nearest = high?.isNegative === true ? high : { ...ZERO, isOpen: true };
    ways.push(sequence(text('-'), unsigned(nearest, low)));
  }
  if (isHighPositive) ways.push(unsigned(low?.isNegative === false ? low : ZERO, high));
  return choice(...ways);
}

/** A decimal's digits before and after the point. */
interface Decimal {
  readonly isNegative: boolean;
  readonly whole: string;
  readonly fraction: string;
  readonly isOpen: boolean;
}

const ZERO: Decimal = { isNegative: false, whole: '0', fraction: '', isOpen: false };

function digitsOf({ value, isOpen }: Bound): Decimal | null {
  const [, sign, whole, fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(String(value)) ?? [];
  if (whole === undefined || whole.length + fraction.length > EXACT_DIGITS) return null;
  return { isNegative: sign === '-', whole, fraction, isOpen };
}

/** Decimals >= 0 from `from` to `to`. */
function unsigned(from: Decimal | undefined, to: Decimal | undefined): Expression {
  const low = Number(from?.whole ?? 0);
  const high = to === undefined ? LARGEST : Number(to.whole);
  if (low > high) return NEVER;
  const ways: Expression[] = [];
  const atLow = from !== undefined;
  const atHigh = to !== undefined;
  if (atLow) {
    const isBoth = atHigh && low === high;
    ways.push(sequence(text(String(low)), fractions(from, isBoth ? to : undefined, roomAfter(low))));
  }
  const [a, b] = [atLow ? low + 1 : low, atHigh ? high - 1 : high];
  // By length, since the room for a fraction depends on it.
  for (let n = 1; n <= EXACT_DIGITS; n++) {
    const first = Math.max(a, n === 1 ? 0 : 10 ** (n - 1));
    const last = Math.min(b, 10 ** n - 1);
    if (first <= last) ways.push(sequence(naturals(first, last), fractions(undefined, undefined, EXACT_DIGITS - n)));
  }
  if (atHigh && !(atLow && low === high))
    ways.push(sequence(text(String(high)), fractions(undefined, to, roomAfter(high))));
  return choice(...ways);
}

const roomAfter = (whole: number): number => EXACT_DIGITS - String(whole).length;

/** Nothing, or a point and 1..room digits, such that the fraction lies between those of two decimals. */
function fractions(from: Decimal | undefined, to: Decimal | undefined, room: number): Expression {
  const low = from === undefined ? undefined : { digits: from.fraction, isOpen: from.isOpen };
  const high = to === undefined ? undefined : { digits: to.fraction, isOpen: to.isOpen };
  const ways: Expression[] = [];
  if (holdsZero(low, high)) ways.push(EMPTY);
  if (room > 0) ways.push(sequence(text('.'), fractionDigits(low, high, room, true)));
  return choice(...ways);
}

interface Edge {
  readonly digits: string;
  readonly isOpen: boolean;
}

/** Whether a fraction may end here: no more digits is the same as zeros. */
function holdsZero(low: Edge | undefined, high: Edge | undefined): boolean {
  const isAboveLow = low === undefined || (/^0*$/.test(low.digits) && !low.isOpen);
  return isAboveLow && !(high !== undefined && /^0*$/.test(high.digits) && high.isOpen);
}

/** At most `room` digits of a fraction from `low` to `high`; at least one where `isFirst`. */
function fractionDigits(low: Edge | undefined, high: Edge | undefined, room: number, isFirst: boolean): Expression {
  if (low === undefined && high === undefined) return repeat(chars('09'), isFirst ? 1 : 0, room);
  const ways: Expression[] = [];
  if (!isFirst && holdsZero(low, high)) ways.push(EMPTY);
  if (room > 0) {
    // A bound without more digits goes on in zeros.
    const lowDigits = low === undefined ? undefined : low.digits || '0';
    const highDigits = high === undefined ? undefined : high.digits || '0';
    const cut = (edge: Edge, digits: string): Edge => ({ digits: digits.slice(1), isOpen: edge.isOpen });
    ways.push(
      byFirstDigit(lowDigits, highDigits, (isLow, isHigh) =>
        fractionDigits(
          isLow ? cut(low!, lowDigits!) : undefined,
          isHigh ? cut(high!, highDigits!) : undefined,
          room - 1,
          false,
        ),
      ),
    );
  }
  return choice(...ways);
}
