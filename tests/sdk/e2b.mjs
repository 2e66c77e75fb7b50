// E2B's own SDK against the emulator.
import {
  AuthenticationError, CommandExitError, NotFoundError, RateLimitError, Sandbox, SandboxError, SandboxNotFoundError,
  TimeoutError,
} from 'e2b';
import { admin, assert, check, done, failure, fetchAt, until } from './proof.mjs';

const base = process.env.NESTOR_EMULATOR_E2B;
const port = new URL(base).port;
const apiKey = process.env.NESTOR_EMULATOR_E2B_KEY;
const account = { apiKey, apiUrl: base, sandboxUrl: base, domain: `e2b.localhost:${port}` };
const exists = async () => (await admin('/admin/sandboxes')).e2b;
let box;

await check('a wrong key is refused before anything is created', async () => {
  const error = await failure(() => Sandbox.create({ ...account, apiKey: `e2b_${'0'.repeat(40)}` }));
  assert.ok(error instanceof AuthenticationError, error.constructor.name);
  assert.match(error.message, /Invalid API key/);
  assert.deepEqual(await exists(), []);
});

await check('a blocked team may look, and not create', async () => {
  const weak = { ...account, apiKey: apiKey.slice(0, -8) + 'deadbeef' };
  const error = await failure(() => Sandbox.create(weak));
  assert.equal(error.statusCode, 403);
  await Sandbox.list(weak).nextItems();
});

await check('create gives one that runs', async () => {
  box = await Sandbox.create('base', {
    ...account, metadata: { 'demo run': 'one', app: 'hold&out=1/ü' }, envs: { DEMO: 'x y' }, timeoutMs: 120_000,
  });
  assert.equal(await box.isRunning(), true);
  const [seen] = await exists();
  assert.equal(seen.id, box.sandboxId);
  assert.equal(seen.labels.app, 'hold&out=1/ü');
});

await check('a template that is not there is refused', async () => {
  assert.match((await failure(() => Sandbox.create('no-such-template', account))).message, /template 'no-such-template' not found/);
});

await check('its details', async () => {
  const info = await Sandbox.getInfo(box.sandboxId, account);
  assert.equal(info.state, 'running');
  assert.equal(info.metadata['demo run'], 'one');
  assert.ok(await failure(() => Sandbox.getInfo('i00000000000000000000', account)) instanceof SandboxNotFoundError);
});

const ids = async (query, limit) => {
  const pages = Sandbox.list({ ...account, query, limit });
  const found = [];
  while (pages.hasNext) found.push(...(await pages.nextItems()).map((s) => s.sandboxId));
  return found;
};

await check('lists filter by metadata, thrice encoded, and come in pages', async () => {
  const others = [];
  for (let i = 0; i < 3; i += 1) others.push(await Sandbox.create('base', { ...account, metadata: { pg: 'yes' } }));
  assert.deepEqual((await ids({ metadata: { pg: 'yes' }, state: ['running'] }, 1)).sort(),
    others.map((o) => o.sandboxId).sort());
  assert.deepEqual(await ids({ metadata: { 'demo run': 'one', app: 'hold&out=1/ü' } }), [box.sandboxId]);
  assert.deepEqual(await ids({ metadata: { 'demo run': 'two' } }), []);
  for (const other of others) assert.equal(await other.kill(), true);
});

await check('commands run, with streams, environment, exit code and deadline', async () => {
  const run = await box.commands.run('echo out-$DEMO-$X; echo err 1>&2', { envs: { X: 'x' } });
  assert.equal(run.stdout, 'out-x y-x\n');
  assert.equal(run.stderr, 'err\n');
  const failed = await failure(() => box.commands.run('exit 7'));
  assert.ok(failed instanceof CommandExitError);
  assert.equal(failed.exitCode, 7);
  assert.ok(await failure(() => box.commands.run('sleep 30', { timeoutMs: 300 })) instanceof TimeoutError);
});

await check('background commands are listed, fed and killed', async () => {
  const sleeping = await box.commands.run('sleep 100', { background: true, timeoutMs: 0 });
  assert.ok((await box.commands.list()).some((p) => p.pid === sleeping.pid));
  assert.equal(await box.commands.kill(sleeping.pid), true);
  await until(async () => !(await box.commands.list()).some((p) => p.pid === sleeping.pid));
  assert.equal(await box.commands.kill(sleeping.pid), false);
  const echoing = await box.commands.run('read line; echo got-$line', { background: true, stdin: true, timeoutMs: 0 });
  await box.commands.sendStdin(echoing.pid, 'this\n');
  assert.equal((await echoing.wait()).stdout, 'got-this\n');
});

await check('files go up and come down', async () => {
  await box.files.write('folder/demo.txt', 'data ü');
  assert.equal(await box.files.read('folder/demo.txt'), 'data ü');
  assert.ok((await box.files.list('folder')).some((f) => f.name === 'demo.txt'));
  assert.equal(await box.files.exists('folder/none.txt'), false);
  assert.ok(await failure(() => box.files.read('folder/none.txt')) instanceof NotFoundError);
});

const inner = { 'x-session-api-key': 'inner' };
const url = () => `http://${box.getHost(3000)}`;

await check('a server started inside answers at its host', async () => {
  assert.equal(JSON.parse((await fetchAt(`${url()}/alive`)).text).message, 'The sandbox is running but port is not open');
  await box.commands.run('nestor-nested-server', {
    background: true, timeoutMs: 0, envs: { PORT: '3000', SESSION_API_KEY: 'inner' },
  });
  await until(async () => (await fetchAt(`${url()}/alive`)).status === 200);
  const stored = await fetchAt(`${url()}/api/settings`,
    { method: 'POST', headers: { ...inner, 'content-type': 'application/json' }, body: '{"llm_model":"m"}' });
  assert.equal(stored.status, 200, stored.text);
});

await check('a private one wants its traffic token', async () => {
  const closed = await Sandbox.create('base', { ...account, network: { allowPublicTraffic: false } });
  const at = `http://${closed.getHost(3000)}/`;
  assert.equal((await fetchAt(at)).status, 403);
  const entered = await fetchAt(at, { headers: { 'e2b-traffic-access-token': closed.trafficAccessToken } });
  assert.equal(entered.status, 502);
  await closed.kill();
});

await check('pause keeps everything, and connect brings it back', async () => {
  await box.pause();
  assert.equal((await Sandbox.getInfo(box.sandboxId, account)).state, 'paused');
  assert.equal(await box.pause(), false);
  assert.equal(await box.isRunning(), false);
  assert.equal(JSON.parse((await fetchAt(`${url()}/alive`)).text).message, 'The sandbox was not found');
  box = await Sandbox.connect(box.sandboxId, { ...account, timeoutMs: 120_000 });
  assert.equal((await fetchAt(`${url()}/api/settings`, { headers: inner })).status, 200);
  await Sandbox.connect(box.sandboxId, account);
});

await check('throttling with a time is waited for, the limit of sandboxes is not', async () => {
  await admin('/admin/faults', { cloud: 'e2b', faults: ['throttled:1@POST /v2/sandboxes$'] });
  await (await Sandbox.create('base', account)).kill();
  await admin('/admin/faults', { cloud: 'e2b', faults: ['throttled:1@POST /v2/sandboxes$ x*'] });
  assert.ok(await failure(() => Sandbox.create('base', account)) instanceof RateLimitError);
  await admin('/admin/faults', { cloud: 'e2b', faults: ['status:429@POST /v2/sandboxes$'] });
  assert.match((await failure(() => Sandbox.create('base', account))).message, /maximum number of concurrent/);
});

await check('a create whose answer is lost has happened, and is found by its metadata', async () => {
  await admin('/admin/faults', { cloud: 'e2b', faults: ['answer-lost@POST /v2/sandboxes$'] });
  await failure(() => Sandbox.create('base', { ...account, metadata: { try: 'lost' } }));
  const [lost] = await ids({ metadata: { try: 'lost' } });
  assert.equal(await Sandbox.kill(lost, account), true);
});

await check('one that cannot be placed leaves nothing', async () => {
  await admin('/admin/faults', { cloud: 'e2b', faults: ['wrong-state@POST /v2/sandboxes$'] });
  assert.ok(await failure(() => Sandbox.create('base', account)) instanceof SandboxError);
  assert.equal((await exists()).length, 1);
});

await check('its time ends it', async () => {
  const brief = await Sandbox.create('base', account);
  await brief.setTimeout(0);
  await until(async () => (await exists()).length === 1);
});

await check('kill, and kill again', async () => {
  assert.equal(await box.kill(), true);
  assert.equal(await Sandbox.kill(box.sandboxId, account), false);
  assert.deepEqual(await exists(), []);
});

done();
