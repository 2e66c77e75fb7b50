// Daytona's own SDK against the emulator: what its documentation shows, and every error it has a class for.
import {
  Daytona, DaytonaAuthenticationError, DaytonaAuthorizationError, DaytonaConflictError, DaytonaNotFoundError,
  DaytonaRateLimitError, DaytonaTimeoutError, DaytonaError,
} from '@daytonaio/sdk';
import { admin, assert, check, done, failure, fetchAt, until } from './proof.mjs';

const apiUrl = `${process.env.NESTOR_EMULATOR_DAYTONA}/api`;
const apiKey = process.env.NESTOR_EMULATOR_DAYTONA_KEY;
const daytona = new Daytona({ apiKey, apiUrl, target: 'us' });
const exists = async () => (await admin('/admin/sandboxes')).daytona;
let box;

await check('a wrong key is refused before anything is created', async () => {
  const stranger = new Daytona({ apiKey: `dtn_${'0'.repeat(64)}`, apiUrl, target: 'us' });
  const error = await failure(() => stranger.create());
  assert.ok(error instanceof DaytonaAuthenticationError, error.constructor.name);
  assert.equal(error.message, 'Invalid credentials');
  assert.deepEqual(await exists(), []);
});

await check('a key without the permission is told so', async () => {
  const weak = new Daytona({ apiKey: apiKey.slice(0, -8) + 'deadbeef', apiUrl, target: 'us' });
  assert.ok(await failure(() => weak.create()) instanceof DaytonaAuthorizationError);
});

await check('create waits until it is started', async () => {
  box = await daytona.create({
    name: 'proof-1', snapshot: 'daytona-small', envVars: { DEMO: 'x y', SESSION_API_KEY: 'inner' },
    labels: { 'demo/run': 'one', app: 'proof' }, autoStopInterval: 60, autoDeleteInterval: 120,
  });
  assert.equal(box.state, 'started');
  const [seen] = await exists();
  assert.equal(seen.id, box.id);
  assert.equal(seen.labels.app, 'proof');
});

await check('a name that is taken is a conflict', async () => {
  const error = await failure(() => daytona.create({ name: 'proof-1', snapshot: 'daytona-small' }));
  assert.ok(error instanceof DaytonaConflictError, error.constructor.name);
  assert.match(error.message, /Sandbox with name proof-1 already exists/);
});

await check('a snapshot that is not there is a bad request', async () => {
  assert.equal((await failure(() => daytona.create({ snapshot: 'no-such-image' }))).statusCode, 400);
});

await check('it is found by id and by name', async () => {
  assert.equal((await daytona.get(box.id)).name, 'proof-1');
  assert.equal((await daytona.get('proof-1')).id, box.id);
  assert.ok(await failure(() => daytona.get('nobody')) instanceof DaytonaNotFoundError);
});

const ids = async (query) => {
  const found = [];
  for await (const one of daytona.list(query)) found.push(one.id);
  return found;
};

await check('lists filter by label and come in pages', async () => {
  const others = [];
  for (let i = 0; i < 3; i += 1)
    others.push(await daytona.create({ snapshot: 'daytona-small', labels: { page: 'yes' } }));
  assert.deepEqual((await ids({ labels: { page: 'yes' }, limit: 1 })).sort(), others.map((o) => o.id).sort());
  assert.deepEqual(await ids({ labels: { 'demo/run': 'one' } }), [box.id]);
  assert.deepEqual(await ids({ labels: { 'demo/run': 'two' } }), []);
  for (const other of others) await daytona.delete(other);
});

await check('labels are replaced as a whole', async () => {
  assert.deepEqual(Object.keys(await box.setLabels({ app: 'proof', extra: '1' })).sort(), ['app', 'extra']);
});

await check('commands run, with their environment, exit code and time-out', async () => {
  const run = await box.process.executeCommand('echo hi-$DEMO-$HOLD', undefined, { HOLD: '7' }, 10);
  assert.equal(run.exitCode, 0);
  assert.equal(run.result, 'hi-x y-7\n');
  assert.equal((await box.process.executeCommand('exit 3')).exitCode, 3);
  assert.ok(await failure(() => box.process.executeCommand('sleep 30', undefined, undefined, 1)) instanceof
    DaytonaTimeoutError);
});

await check('a process session keeps its directory and tells its streams apart', async () => {
  await box.process.createSession('s1');
  assert.ok(await failure(() => box.process.createSession('s1')) instanceof DaytonaConflictError);
  const first = await box.process.executeSessionCommand('s1', { command: 'mkdir -p deep && cd deep && export A=7' });
  assert.equal(first.exitCode, 0);
  const started = await box.process.executeSessionCommand('s1',
    { command: 'echo out-$A; basename "$PWD"; echo err 1>&2', runAsync: true });
  await until(async () => (await box.process.getSessionCommand('s1', started.cmdId)).exitCode === 0);
  const logs = await box.process.getSessionCommandLogs('s1', started.cmdId);
  assert.equal(logs.stdout, 'out-7\ndeep\n');
  assert.equal(logs.stderr, 'err\n');
  await box.process.deleteSession('s1');
});

await check('files go up and come down', async () => {
  const bytes = Buffer.from([...Array(300).keys()].map((n) => n % 256));
  await box.fs.uploadFile(bytes, 'folder/demo.bin');
  assert.deepEqual(await box.fs.downloadFile('folder/demo.bin'), bytes);
  assert.ok((await box.fs.listFiles('folder')).some((f) => f.name === 'demo.bin'));
  await failure(() => box.fs.downloadFile('folder/none.bin'));
});

await check('the nested server answers at the preview address, for those who may enter', async () => {
  const link = await box.getPreviewLink(3000);
  const inner = { 'x-session-api-key': 'inner', 'x-daytona-preview-token': link.token };
  await until(async () => (await fetchAt(`${link.url}/alive`, { headers: inner })).status === 200);
  assert.equal((await fetchAt(`${link.url}/api/settings`, { headers: inner })).status, 404);
  const stored = await fetchAt(`${link.url}/api/settings`,
    { method: 'POST', headers: { ...inner, 'content-type': 'application/json' }, body: '{"llm_model":"m"}' });
  assert.equal(stored.status, 200, stored.text);
  const stranger = await fetchAt(`${link.url}/alive`);
  assert.equal(stranger.status, 307);
  assert.match(stranger.headers.location, /oidc/);
  const closed = (await box.getPreviewLink(18_555)).url;
  const empty = await fetchAt(`${closed}/`, { headers: { 'x-daytona-preview-token': link.token } });
  assert.equal(empty.status, 502);
  assert.equal(empty.text, '');
  const signed = await box.getSignedPreviewUrl(3000, 120);
  assert.equal((await fetchAt(`${signed.url}/alive`)).status, 200);
});

await check('it stops, starts, and its preview token is another one', async () => {
  const before = (await box.getPreviewLink(3000)).token;
  await box.stop();
  assert.equal(box.state, 'stopped');
  await box.start();
  assert.equal(box.state, 'started');
  assert.notEqual((await box.getPreviewLink(3000)).token, before);
  await box.refreshActivity();
  await box.setAutostopInterval(30);
});

await check('throttling names its limit, in the header of that name', async () => {
  await admin('/admin/faults', { cloud: 'daytona', faults: ['throttled:3@POST /api/sandbox$'] });
  const error = await failure(() => daytona.create());
  assert.ok(error instanceof DaytonaRateLimitError, error.constructor.name);
  assert.equal(error.headers['retry-after-sandbox-create'], '3');
  assert.equal(error.headers['retry-after'], undefined);
});

await check('a create whose answer is lost has happened', async () => {
  await admin('/admin/faults', { cloud: 'daytona', faults: ['answer-lost@POST /api/sandbox$'] });
  await failure(() => daytona.create({ name: 'lost', snapshot: 'daytona-small' }));
  const lost = await daytona.get('lost');
  await until(async () => (await daytona.get('lost')).state === 'started');
  await daytona.delete(lost);
});

await check('one that never starts times out, and is still there', async () => {
  await admin('/admin/faults', { cloud: 'daytona', faults: ['never-ready@POST /api/sandbox$'] });
  const error = await failure(() => daytona.create({ name: 'stuck', image: 'debian:12' }, { timeout: 1 }));
  assert.ok(error instanceof DaytonaTimeoutError, error.constructor.name);
  const stuck = await daytona.get('stuck');
  assert.equal(stuck.state, 'creating');
  assert.ok(await failure(() => stuck.delete()) instanceof DaytonaConflictError);
});

await check('one that fails to start says why', async () => {
  await admin('/admin/faults', { cloud: 'daytona', faults: ['wrong-state@POST /api/sandbox$'] });
  const error = await failure(() => daytona.create({ name: 'broken', image: 'debian:12' }));
  assert.ok(error instanceof DaytonaError);
  assert.match(error.message, /failed to start/);
  await (await daytona.get('broken')).delete();
});

await check('delete, and delete again', async () => {
  await daytona.delete(box);
  await until(async () => !(await exists()).some((s) => s.id === box.id));
  assert.ok(await failure(() => daytona.delete(box)) instanceof DaytonaNotFoundError);
  assert.ok(await failure(() => daytona.get(box.id)) instanceof DaytonaNotFoundError);
});

done();
