// The dashboard of a real node, walked by a real browser over real sandboxes. NESTOR_BIN: the binaries; NESTOR_SHOTS:
// where its pictures go, to be looked at. No step sleeps: each waits for what it is about.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { nestedStates, servedNode } from './node.mjs';
import { canary, fits, lookedOver, openBrowser, refused, shot, slowly, spec, still } from './world.mjs';

const crowd = 5000;
const patience = process.env.NESTOR_TEST_LENGTH === 'long' ? 1 : 5; // elsewhere others may be using the machine
const paintWithin = 1000 * patience; // milliseconds from asking for the page to rows on the screen
const longFrame = 100 * patience; // milliseconds: what an eye sees as a jerk
const looks = 3; // how often a bound that seems broken is measured: the machine may be busy
const steps = [
  'queue',
  'authenticate',
  'provision',
  'alive',
  'settings',
  'git_providers',
  'secrets',
  'verify',
  'ready',
];

let node, states, browser;
before(async () => {
  node = await servedNode({ limits: { per_tenant: 2 * crowd }, addresses: { allow: ['127.0.0.0/8'] } });
  states = await nestedStates(`${canary}-key`, '--dialect', 'generic');
  browser = await openBrowser(node);
});
after(async () => {
  await browser?.close();
  await node?.end();
  await states?.end();
});

const storyOf = page => page.locator('#story');
const rows = page => page.locator('#list [role=option]');
const row = (page, name) => rows(page).filter({ hasText: name });

test('who has no token sees nothing, and a wrong one is refused', async () => {
  const page = await browser.tab({ token: null });
  await page.getByLabel('Token').fill('nsk-wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText("not one of this node's").waitFor();
  assert.ok(await page.locator('#page-sandboxes').isHidden());
  await lookedOver(page, 'the door');
  browser.forgive();
  await page.getByLabel('Token').fill(node.token);
  await page.keyboard.press('Enter');
  await page.getByText(/^live/).waitFor();
  assert.ok(!page.url().includes(node.token));
  await page.context().close();
});

test("a sandbox's steps light up in order while the page watches", async () => {
  const page = await browser.tab();
  await page.evaluate(() => {
    window.lit = [];
    const look = () => {
      for (const { dataset } of document.querySelectorAll('#story [data-step]')) {
        const now = `${dataset.step} ${dataset.outcome}`;
        if (!window.lit.includes(now)) window.lit.push(now);
      }
    };
    new MutationObserver(look).observe(document.getElementById('story'), { childList: true, subtree: true });
  });
  const id = await node.created(spec('fix-login-bug', slowly));
  await page.evaluate(address => (location.hash = address), `#/sandboxes/${id}`);
  await page.locator('#story [data-step=ready][data-outcome=ok]').waitFor();
  await node.until(id, 'Ready');
  const lit = await page.evaluate(() => window.lit);
  assert.ok(lit.includes('settings running'), lit.join(', '));
  const done = lit.filter(each => each.endsWith(' ok')).map(each => each.split(' ')[0]);
  assert.deepEqual(done, steps, 'each turned ok, in the order of the steps');
  assert.ok((await page.locator('.strip i.ok').count()) >= steps.length, 'in the list, too');
  await shot(page, 'ready');
  await page.context().close();
});

test('a step that was repeated says so', async () => {
  const page = await browser.tab();
  const id = await node.created(spec('second-try', ['status:503@POST /api/secrets']));
  await node.until(id, 'Ready');
  await page.goto(`${node.url}/#/sandboxes/${id}`);
  await storyOf(page).getByText('2 tries').waitFor();
  await page.locator('#failures .meter').filter({ hasText: /secrets\s*1/ }).waitFor();
  await page.context().close();
});

test('a failing one shows code, cause and remedy, and a reload loses nothing', async () => {
  const page = await browser.tab();
  const id = await node.created(refused('broken-login'));
  const { failure } = await node.until(id, 'Failed');
  await row(page, 'broken-login').click();
  const why = page.getByRole('group', { name: 'Why it failed' });
  await why.getByText(failure.code, { exact: true }).waitFor();
  for (const part of ['message', 'cause', 'remedy'])
    assert.ok((await why.innerText()).includes(failure[part]), part);
  const shown = () =>
    page.evaluate(() => ({
      why: document.querySelector('.failure').innerText,
      title: document.querySelector('#story h2').innerText,
      steps: [...document.querySelectorAll('#story [data-step]')].map(
        each => `${each.dataset.step} ${each.dataset.outcome}`,
      ),
      count: document.getElementById('count').innerText,
    }));
  await page.locator('#story [data-step=absent][data-outcome=ok]').waitFor();
  const before = await shown();
  await page.reload();
  await page.getByText(/^live/).waitFor();
  await why.waitFor();
  await page.waitForFunction(count => document.getElementById('count').innerText === count, before.count);
  assert.deepEqual(await shown(), before);
  await page.getByText(/^Events \(\d+\)$/).click();
  await page.locator('.told').getByText(`git_providers failed`).waitFor();
  await page.context().close();
});

test('everything is reached by keyboard', async () => {
  const page = await browser.tab();
  const id = await node.created(spec('by-keyboard'));
  await node.until(id, 'Ready');
  await page.getByLabel('Search').first().fill('by-keyboard');
  await row(page, 'by-keyboard').waitFor();
  const focused = () =>
    page.evaluate(() => {
      const it = document.activeElement;
      return it.id || it.getAttribute('aria-label') || it.textContent.trim();
    });
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'order');
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'list');
  await page.keyboard.press('ArrowDown');
  await storyOf(page).getByRole('heading', { name: 'by-keyboard' }).waitFor();
  await page.keyboard.press('Enter');
  assert.equal(await focused(), 'by-keyboard');
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'Pause');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  assert.equal((await node.ask('GET', `/v1/sandboxes/${id}`)).body.status, 'Ready', 'Escape destroys nothing');
  await storyOf(page).getByRole('button', { name: 'Destroy' }).press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: 'Destroy' }).press('Enter');
  await storyOf(page).locator('.pill').getByText('Destroyed').waitFor();
  await page.context().close();
});

test('every page is whole in light and dark, on a desk and on a phone', async () => {
  const desk = { width: 1360, height: 860 };
  const phone = { width: 390, height: 844 };
  const failed = (await node.ask('GET', '/v1/sandboxes?status=Failed')).body.items[0].id;
  const page = await browser.tab();
  for (const [what, address, sign] of [
    ['list', 'sandboxes', row(page, 'broken-login')],
    ['story', `sandboxes/${failed}`, page.locator('.failure')],
    ['providers', 'providers', page.getByRole('heading', { name: 'static' })],
    ['leaks', 'leaks', page.getByText(/No leak/)],
    ['events', 'events', page.locator('#events time').first()],
  ]) {
    await page.goto(`${node.url}/#/${address}`);
    for (const [name, colorScheme, size] of [
      ['light', 'light', desk],
      ['dark', 'dark', desk],
      ['phone', 'light', phone],
      ['phone-dark', 'dark', phone],
    ]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(size);
      await sign.waitFor();
      await (size === phone ? fits : lookedOver)(page, `${what} in ${name}`);
      await shot(page, `${what}-${name}`);
    }
  }
  await page.context().close();
});

test(`${crowd} sandboxes are painted at once and scroll smoothly`, async t => {
  const queue = Array.from({ length: crowd }, (_, i) => `agent-${i + 1}`);
  const creators = Array.from({ length: 16 }, async () => {
    for (let name; (name = queue.pop());) await node.created(still(name, states.url, `${canary}-key`));
  });
  await Promise.all(creators);
  for (let look = 1; ; ++look) {
    const page = await browser.tab({ token: null, reads: false });
    await page.evaluate(text => sessionStorage.setItem('nestor-token', text), node.token);
    await page.reload({ waitUntil: 'commit' });
    await rows(page).first().waitFor();
    const painted = await page.evaluate(() => performance.getEntriesByName('rows painted')[0].startTime);
    await page.waitForFunction(
      count => Number(document.getElementById('count').innerText.replace(/\D/g, '')) >= count,
      crowd,
    );
    const whole = await page.evaluate(() => performance.now());
    const jerks = await page.evaluate(async () => {
      const place = document.getElementById('list');
      const frames = [];
      let last = performance.now();
      for (let i = 0; i < 90; ++i) {
        place.scrollTop += i % 30 === 29 ? place.scrollHeight / 4 : 180;
        await new Promise(requestAnimationFrame);
        frames.push(performance.now() - last);
        last = performance.now();
      }
      return frames.sort((a, b) => b - a);
    });
    assert.ok((await rows(page).count()) < 60, 'only rows on the screen exist');
    const figures =
      `rows after ${Math.round(painted)} ms, all of them after ${Math.round(whole)} ms; the longest of 90 frames of ` +
      `scrolling ${Math.round(jerks[0])} ms, the median ${Math.round(jerks[45])} ms`;
    if (look === looks || (painted <= paintWithin && jerks[2] <= longFrame)) {
      t.diagnostic(figures);
      assert.ok(painted <= paintWithin, figures);
      assert.ok(jerks[2] <= longFrame, figures); // two may be the machine's
      await page.getByLabel('Search').first().fill('agent-4999');
      await row(page, 'agent-4999').click();
      await storyOf(page).getByRole('heading', { name: 'agent-4999' }).waitFor();
      await shot(page, 'crowd');
      await page.context().close();
      return;
    }
    await page.context().close();
  }
});

test('a node that comes back is followed again', async () => {
  const page = await browser.tab();
  await node.stop();
  await page.getByText('trying again').waitFor();
  await node.start();
  await page.getByText(/^live/).waitFor();
  assert.ok(await page.locator('#trouble').isHidden());
  browser.forgive();
  await page.context().close();
});

test('the console stayed silent, nothing left the node, and no secret came to the page', () => {
  assert.deepEqual(browser.seen, { errors: [], left: [], told: [] });
});
