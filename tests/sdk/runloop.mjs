// Runloop's own SDK against the emulator, over HTTP/1.1 (its default over plain HTTP is HTTP/2 by prior knowledge).
import Runloop, { toFile } from '@runloop/api-client';
import { admin, assert, check, done, failure, fetchAt, until } from './proof.mjs';

const baseURL = process.env.NESTOR_EMULATOR_RUNLOOP;
const port = new URL(baseURL).port;
const bearerToken = process.env.NESTOR_EMULATOR_RUNLOOP_KEY;
const client = new Runloop({ bearerToken, baseURL, http2: false });
const once = new Runloop({ bearerToken, baseURL, http2: false, maxRetries: 0 });
const exists = async () => (await admin('/admin/sandboxes')).runloop;
let box;

await check('a wrong key is refused before anything is created', async () => {
  const stranger = new Runloop({ bearerToken: 'ak_wrong', baseURL, http2: false });
  assert.ok(await failure(() => stranger.devboxes.list({ limit: 1 })) instanceof Runloop.AuthenticationError);
  assert.ok(await failure(() => stranger.devboxes.create({})) instanceof Runloop.AuthenticationError);
  assert.deepEqual(await exists(), []);
});

await check('a restricted key is told so', async () => {
  const weak = new Runloop({ bearerToken: bearerToken.slice(0, -8) + 'deadbeef', baseURL, http2: false });
  assert.ok(await failure(() => weak.devboxes.create({})) instanceof Runloop.PermissionDeniedError);
});

await check('create waits until it runs', async () => {
  box = await client.devboxes.createAndAwaitRunning({
    name: 'proof-1', blueprint_name: 'nested', metadata: { sid: 'one' },
    environment_variables: { DEMO: 'x y', SESSION_API_KEY: 'inner' },
    launch_parameters: { keep_alive_time_seconds: 600, resource_size_request: 'SMALL' },
  });
  assert.equal(box.status, 'running');
  const [seen] = await exists();
  assert.equal(seen.id, box.id);
  assert.equal(seen.labels.sid, 'one');
});

await check('what cannot be created is a bad request', async () => {
  assert.ok(await failure(() => client.devboxes.create({ blueprint_name: 'no-such-blueprint' })) instanceof
    Runloop.BadRequestError);
  assert.ok(await failure(() => client.devboxes.create({ blueprint_name: 'a', snapshot_id: 'b' })) instanceof
    Runloop.BadRequestError);
});

await check('it is found, and others are not', async () => {
  assert.equal((await client.devboxes.retrieve(box.id)).name, 'proof-1');
  assert.ok(await failure(() => client.devboxes.retrieve('dbx_nobody')) instanceof Runloop.NotFoundError);
  assert.equal((await client.devboxes.update(box.id, { metadata: { sid: 'two' } })).metadata.sid, 'two');
});

await check('lists filter by status and come in pages', async () => {
  const others = [];
  for (let i = 0; i < 3; i += 1)
    others.push((await client.devboxes.createAndAwaitRunning({ name: `page-${i}` })).id);
  const seen = [];
  for await (const one of client.devboxes.list({ status: 'running', limit: 1 })) seen.push(one.id);
  assert.deepEqual(seen.sort(), [box.id, ...others].sort());
  for (const other of others) assert.equal((await client.devboxes.shutdown(other)).status, 'shutdown');
  assert.equal((await client.devboxes.list({ status: 'running' })).devboxes.length, 1);
});

await check('commands run, are waited for, read and killed', async () => {
  const run = await client.devboxes.executeAndAwaitCompletion(box.id, { command: 'echo out-$DEMO; echo err 1>&2; exit 4' });
  assert.equal(run.exit_status, 4);
  assert.equal(run.stdout, 'out-x y\n');
  assert.equal(run.stderr, 'err\n');
  const slow = await client.devboxes.executeAsync(box.id, { command: 'sleep 100' });
  assert.equal(slow.status, 'running');
  await client.devboxes.executions.kill(box.id, slow.execution_id);
  await until(async () => (await client.devboxes.executions.retrieve(box.id, slow.execution_id)).status === 'completed');
  const streamed = await client.devboxes.executeAsync(box.id, { command: 'echo one; sleep 0.2; echo two' });
  let text = '';
  for await (const part of await client.devboxes.executions.streamStdoutUpdates(box.id, streamed.execution_id, {}))
    text += part.output;
  assert.equal(text, 'one\ntwo\n');
  const last = await client.devboxes.executeAsync(box.id, { command: 'sleep 0.2; echo three' });
  assert.equal((await client.devboxes.executions.awaitCompleted(box.id, last.execution_id)).stdout, 'three\n');
});

await check('a named shell keeps its directory', async () => {
  await client.devboxes.executeAndAwaitCompletion(box.id, { command: 'mkdir -p deep && cd deep', shell_name: 's' });
  const where = await client.devboxes.executeAndAwaitCompletion(box.id, { command: 'basename "$PWD"', shell_name: 's' });
  assert.equal(where.stdout, 'deep\n');
});

await check('files go up and come down', async () => {
  await client.devboxes.writeFileContents(box.id, { file_path: 'a.txt', contents: 'text ü' });
  assert.equal(await client.devboxes.readFileContents(box.id, { file_path: 'a.txt' }), 'text ü');
  await client.devboxes.uploadFile(box.id, { path: 'b.bin', file: await toFile(Buffer.from([0, 1, 2, 255]), 'b.bin') });
  const got = await client.devboxes.downloadFile(box.id, { path: 'b.bin' });
  assert.deepEqual([...new Uint8Array(await got.arrayBuffer())], [0, 1, 2, 255]);
  assert.ok(await failure(() => client.devboxes.readFileContents(box.id, { file_path: 'none' })) instanceof
    Runloop.NotFoundError);
});

let tunnel;
const address = (inside) => `http://${inside}-${tunnel.tunnel_key}.tunnel.localhost:${port}`;

await check('the nested server answers through the tunnel, for those who may enter', async () => {
  tunnel = await client.devboxes.enableTunnel(box.id, { auth_mode: 'authenticated' });
  assert.ok(await failure(() => client.devboxes.enableTunnel(box.id, {})) instanceof Runloop.BadRequestError);
  assert.equal((await client.devboxes.retrieve(box.id)).tunnel.tunnel_key, tunnel.tunnel_key);
  const enter = { 'x-runloop-tunnel-authorization': `Bearer ${tunnel.auth_token}` };
  await until(async () => (await fetchAt(`${address(3000)}/alive`, { headers: enter })).status === 200);
  assert.equal((await fetchAt(`${address(3000)}/alive`)).status, 401);
  assert.equal((await fetchAt(`${address(18_555)}/`, { headers: enter })).status, 502);
});

await check('it suspends and resumes', async () => {
  await client.devboxes.suspend(box.id);
  await until(async () => (await client.devboxes.retrieve(box.id)).status === 'suspended');
  assert.ok(await failure(() => client.devboxes.suspend(box.id)) instanceof Runloop.BadRequestError);
  await client.devboxes.resume(box.id);
  await client.devboxes.awaitRunning(box.id);
  await client.devboxes.keepAlive(box.id);
});

await check('throttling is waited for as long as it says', async () => {
  await admin('/admin/faults', { cloud: 'runloop', faults: ['throttled:1@POST /v1/devboxes$'] });
  await client.devboxes.shutdown((await client.devboxes.create({})).id);
  await admin('/admin/faults', { cloud: 'runloop', faults: ['throttled:1@POST /v1/devboxes$'] });
  const error = await failure(() => once.devboxes.create({}));
  assert.ok(error instanceof Runloop.RateLimitError);
  assert.equal(new Map(Object.entries(error.headers)).get('retry-after'), '1');
});

await check('a create whose answer is lost has happened', async () => {
  await admin('/admin/faults', { cloud: 'runloop', faults: ['answer-lost@POST /v1/devboxes$'] });
  assert.ok(await failure(() => once.devboxes.create({ name: 'lost' })) instanceof Runloop.APIConnectionError);
  const [lost] = (await client.devboxes.list({ limit: 1 })).devboxes;
  assert.equal(lost.name, 'lost');
  await client.devboxes.shutdown(lost.id);
});

await check('one that fails says why', async () => {
  await admin('/admin/faults', { cloud: 'runloop', faults: ['wrong-state@POST /v1/devboxes'] });
  const error = await failure(() => client.devboxes.createAndAwaitRunning({}));
  assert.match(error.message, /non-running state|failure/);
});

await check('a shutdown during a snapshot is a conflict, unless forced', async () => {
  await client.devboxes.snapshotDiskAsync(box.id);
  assert.ok(await failure(() => once.devboxes.shutdown(box.id)) instanceof Runloop.ConflictError);
  assert.equal((await client.devboxes.shutdown(box.id, { force: 'true' })).status, 'shutdown');
});

await check('shutdown again, and of what never was', async () => {
  assert.equal((await client.devboxes.shutdown(box.id)).status, 'shutdown');
  assert.ok(await failure(() => client.devboxes.shutdown('dbx_nobody')) instanceof Runloop.NotFoundError);
  assert.deepEqual(await exists(), []);
});

done();
