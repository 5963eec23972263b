/**
 * Elementary functions in f64, with the same bits on every host. `Math.exp` and its kin may differ from one host to the
 * next, so nothing here calls them: only + - x /, comparisons and exponent bits. Used for RoPE tables, by the sampler and
 * by the float64 tier.
 *
 *   function   largest error (ulp)   defined for
 *   exp        1                     every f64
 *   log        0.51                  every f64
 *   pow        1                     every f64
 *   sin, cos   1                     |x| <= 2^31; beyond, ConfigError
 *   tanh       1.5                   every f64
 *   erf        2                     every f64
 *
 * Tests hold each of them to this against integer arithmetic of 400 bits. Coefficients are those of Taylor series and
 * continued fractions, so a reader can check them by eye.
 */
export { exp, log, pow } from './exp_log.ts';
export { erf, tanh } from './tanh_erf.ts';
export { cos, sin } from './trig.ts';
