import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Page } from 'playwright-core';
import { test } from 'vitest';

/** Debian's Chromium, or the one that GLASSFORMER_CHROMIUM names. */
const PROGRAM = process.env['GLASSFORMER_CHROMIUM'] ?? '/usr/bin/chromium';

/** Nothing but the page under test: no sandbox (tests run as root), no GPU, no calls home. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const LAUNCH_TIMEOUT_MS = 40_000;

/** A test that needs a browser; skipped by name where there is none. */
export function testInChromium(title: string, body: (openPage: OpenPage) => Promise<void>): void {
  if (!existsSync(PROGRAM)) {
    test(`SKIPPED: there is no Chromium at ${PROGRAM} (set GLASSFORMER_CHROMIUM): ${title}`, (context) =>
      context.skip());
    return;
  }
  test(title, async () => {
    const profile = mkdtempSync(join(tmpdir(), 'glassformer-chromium-'));
    const browser = await chromium.launchPersistentContext(profile, {
      executablePath: PROGRAM,
      headless: true,
      args: ARGUMENTS,
      timeout: LAUNCH_TIMEOUT_MS,
    });
    try {
      await body(async (address) => {
        const page = await browser.newPage();
        await page.goto(address);
        return page;
      });
    } finally {
      await browser.close();
      rmSync(profile, { recursive: true, force: true, maxRetries: 3 });
    }
  });
}

export type OpenPage = (address: string) => Promise<Page>;

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
