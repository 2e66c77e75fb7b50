// Sandboxes to look at, and a browser that notes whatever it should not have seen.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { nestedServer } from './node.mjs';

export const canary = 'canary-7f3a91'; // part of every secret that is sent
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** A `process` sandbox whose nested server has these faults. */
export function spec(name, faults = [], more = {}) {
  return {
    name,
    provider: 'process',
    dialect: 'openhands',
    labels: { team: 'web' },
    runtime: { command: [nestedServer, ...faults.flatMap(f => ['--fault', f])] },
    configuration: {
      settings: { llm_model: 'a-model', llm_api_key: { $literal: `${canary}-llm` } },
      git_providers: { github: { token: { $literal: `${canary}-git` } } },
      secrets: { API_TOKEN: { $literal: `${canary}-secret` } },
    },
    ...more,
  };
}

/** Slow enough for eyes, step by step. */
export const slowly = [
  'slow:1500@POST /api/settings',
  'slow:700@POST /api/add-git-providers',
  'slow:700@POST /api/secrets',
];

export function refused(name) {
  const made = spec(name);
  made.configuration.git_providers.github.token = { $literal: `bad-${canary}` };
  return made;
}

/** One of thousands: a state of its own on a nested server that runs already. */
export function still(name, states, key) {
  return {
    name,
    provider: 'static',
    dialect: 'generic',
    runtime: { url: `${states}/s/${name}`, session_key: { $literal: key } },
    configuration: { settings: { llm_model: 'a-model' } },
  };
}

export async function openBrowser(node) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium' });
  const seen = { errors: [], left: [], told: [] };
  /** A tab that is signed in already, unless `token` is null. */
  async function tab({ token = node.token, reads = true, ...options } = {}) {
    const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(60_000); // milliseconds; the machine may be busy
    await page.route('**', route => {
      if (new URL(route.request().url()).origin === node.url) return route.continue();
      seen.left.push(route.request().url());
      return route.abort();
    });
    page.on('console', message => message.type() === 'error' && seen.errors.push(message.text()));
    page.on('pageerror', error => seen.errors.push(String(error)));
    // Reading what every answer holds takes the browser's time: not while that is measured.
    if (reads)
      page.on('response', async answer => {
        if (answer.headers()['content-type']?.includes('event-stream')) return;
        if ((await answer.text().catch(() => '')).includes(canary)) seen.told.push(answer.url());
      });
    if (token) await page.addInitScript(text => sessionStorage.setItem('nestor-token', text), token);
    await page.goto(node.url + '/');
    if (token) await page.getByText(/^live/).waitFor();
    return page;
  }
  /** What the browser says by itself about requests that a test had refused; anything else stays. */
  const forgive = () => {
    seen.errors = seen.errors.filter(error => !error.startsWith('Failed to load resource: '));
  };
  return { tab, seen, forgive, close: () => browser.close() };
}

/** Nothing is wider than the window. */
export async function fits(page, what) {
  const [wide, narrow] = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return [scrollWidth, clientWidth];
  });
  assert.ok(wide <= narrow, `${what} is ${wide} pixels wide in a window of ${narrow}`);
}

/** Fits, and a checker of accessibility finds nothing. */
export async function lookedOver(page, what) {
  await fits(page, what);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa'] }),
  );
  assert.deepEqual(
    violations.map(v => `${v.id}: ${v.nodes.map(n => n.target).join(' ')}`),
    [],
    what,
  );
}

/** Into the build folder, to be looked at. */
export const shot = (page, name) => page.screenshot({ path: join(process.env.NESTOR_SHOTS, `${name}.png`) });
