import { ConfigError } from '../core/errors.ts';

/** Throws ConfigError for a field of a config that is not `wanted`. */
export function need(name: string, value: number, ok: boolean, wanted: string): void {
  if (!ok) {
    throw new ConfigError(
      `model config: ${name} is ${value}, must be ${wanted}; the file is damaged or not a model of this architecture`,
    );
  }
}

export function needSize(name: string, value: number, max: number): void {
  need(name, value, Number.isInteger(value) && value >= 1 && value <= max, `an integer from 1 to ${max}`);
}

export function needPositive(name: string, value: number): void {
  need(name, value, value > 0 && Number.isFinite(value), 'a positive number');
}
