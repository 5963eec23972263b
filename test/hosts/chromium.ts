import { existsSync } from 'node:fs';
import type { Page } from 'playwright-core';
import { test } from 'vitest';
import { CHROMIUM, LAUNCH_TIMEOUT_MS, type OpenPage, withChromium } from './launch_chromium.ts';

/** A test that needs a browser; skipped by name where there is none. */
export function testInChromium(title: string, body: (openPage: OpenPage) => Promise<void>): void {
  if (!existsSync(CHROMIUM)) {
    test(`SKIPPED: there is no Chromium at ${CHROMIUM} (set GLASSFORMER_CHROMIUM): ${title}`, (context) =>
      context.skip());
    return;
  }
  test(title, () => withChromium(body));
}

/** Waits for what the page sets as `globalThis.result`; throws what it sets as `globalThis.failure`. */
export async function resultOf<T>(page: Page): Promise<T> {
  const handle = await page.waitForFunction(() => 'result' in globalThis || 'failure' in globalThis, undefined, {
    timeout: LAUNCH_TIMEOUT_MS,
  });
  await handle.dispose();
  const answer = await page.evaluate(() => {
    const { result, failure } = globalThis as { result?: unknown; failure?: string };
    return { result, failure };
  });
  if (answer.failure !== undefined) throw new Error(answer.failure);
  return answer.result as T;
}
