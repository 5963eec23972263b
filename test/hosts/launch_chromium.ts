import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Page } from 'playwright-core';

/** Debian's Chromium, or the one that GLASSFORMER_CHROMIUM names. */
export const CHROMIUM = process.env['GLASSFORMER_CHROMIUM'] ?? '/usr/bin/chromium';

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

export const LAUNCH_TIMEOUT_MS = 40_000;

export type OpenPage = (address: string) => Promise<Page>;

/** Starts Chromium with a profile of its own, hands `body` what opens its pages, and leaves nothing behind. */
export async function withChromium<T>(body: (openPage: OpenPage) => Promise<T>): Promise<T> {
  const profile = mkdtempSync(join(tmpdir(), 'glassformer-chromium-'));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    headless: true,
    args: ARGUMENTS,
    timeout: LAUNCH_TIMEOUT_MS,
  });
  try {
    return await body(async (address) => {
      const page = await browser.newPage();
      await page.goto(address);
      return page;
    });
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 3 });
  }
}
