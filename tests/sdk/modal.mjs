// Modal's own SDK against the emulator. On loopback it speaks without TLS, to the workers' router, too, although that
// must be an https:// address; a tunnel's URL says https as well.
import { admin, assert, check, done, failure, fetchAt, until } from './proof.mjs';

process.env.MODAL_SERVER_URL = process.env.NESTOR_EMULATOR_MODAL; // read when the SDK is loaded
const { AlreadyExistsError, ModalClient, NotFoundError, ResourceExhaustedError } = await import('modal');
const [tokenId, tokenSecret = tokenId] = process.env.NESTOR_EMULATOR_MODAL_KEY.split(':');
const client = new ModalClient({ tokenId, tokenSecret, logLevel: 'error' });
const impatient = new ModalClient({ tokenId, tokenSecret, logLevel: 'error', maxRetries: 0, maxThrottleWaitSecs: 0 });
const exists = async () => (await admin('/admin/sandboxes')).modal;
const method = (name) => `POST /modal.client.ModalClient/${name}$`;
const faults = (...specs) => admin('/admin/faults', { cloud: 'modal', faults: specs });
/** Calls about a sandbox tell of it in gRPC's own words. */
const missing = async (body) => {
  const error = await failure(body);
  return error instanceof NotFoundError || error.code === 5 || assert.fail(error.stack);
};
let app;
let image;
let box;

await check('a wrong token is refused before anything is created', async () => {
  const stranger = new ModalClient({ tokenId: 'ak-wrong', tokenSecret: 'as-wrong', logLevel: 'error' });
  const error = await failure(() => stranger.apps.fromName('nestor', { createIfMissing: true }));
  assert.equal(error.code, 16);
  assert.match(error.message, /malformed/);
  assert.deepEqual(await exists(), []);
});

await check('a token without the right is told so', async () => {
  const weak = new ModalClient({ tokenId, tokenSecret: tokenSecret.slice(0, -8) + 'deadbeef', logLevel: 'error' });
  assert.equal((await failure(() => weak.apps.fromName('nestor', { createIfMissing: true }))).code, 7);
});

await check('an app is made if it is missing, and only then', async () => {
  assert.ok(await failure(() => client.apps.fromName('proof')) instanceof NotFoundError);
  app = await client.apps.fromName('proof', { createIfMissing: true });
  assert.equal((await client.apps.fromName('proof')).appId, app.appId);
});

await check('an image is built in layers, and one that does not exist is not', async () => {
  image = client.images.fromRegistry('nested:1').dockerfileCommands(['RUN echo 1']);
  await image.build(app);
  assert.match(image.imageId, /^im-/);
  assert.match((await failure(() => client.images.fromRegistry('no-such-image:1').build(app))).message, /not found/);
});

await check('a sandbox is created with name, tags, environment and ports', async () => {
  box = await client.sandboxes.create(app, image, {
    name: 'proof-1', tags: { sid: 'one', owner: 'sdk' }, env: { DEMO: 'x y', SESSION_API_KEY: 'inner' },
    command: ['nestor-nested-server'], encryptedPorts: [3000], timeoutMs: 600_000, cpu: 1, memoryMiB: 512,
  });
  assert.match(box.sandboxId, /^sb-[0-9A-Z]{26}$/);
  const [seen] = await exists();
  assert.equal(seen.id, box.sandboxId);
  assert.equal(seen.labels.sid, 'one');
  assert.equal(await box.poll(), null);
});

await check('its name is its own while it runs', async () => {
  assert.ok(await failure(() => client.sandboxes.create(app, image, { name: 'proof-1' })) instanceof AlreadyExistsError);
  assert.equal((await exists()).length, 1);
});

await check('it is found by id and by name, and others are not', async () => {
  assert.equal((await client.sandboxes.fromId(box.sandboxId)).sandboxId, box.sandboxId);
  assert.equal((await client.sandboxes.experimentalFromName('proof', 'proof-1')).sandboxId, box.sandboxId);
  assert.ok(await failure(() => client.sandboxes.experimentalFromName('proof', 'nobody')) instanceof NotFoundError);
  const nobody = await client.sandboxes.fromId('sb-00000000000000000000000000'); // which asks nobody
  assert.ok(await missing(() => nobody.poll()));
});

await check('tags are set and read', async () => {
  await box.setTags({ sid: 'two', owner: 'sdk' });
  assert.deepEqual(await box.getTags(), { sid: 'two', owner: 'sdk' });
});

await check('lists filter by tags and come in pages', async () => {
  const others = [];
  for (let i = 0; i < 4; i += 1)
    others.push(await client.sandboxes.create(app, image, { name: `page-${i}`, tags: { owner: 'sdk' } }));
  const listed = async (tags) => {
    const ids = [];
    for await (const one of client.sandboxes.experimentalList({ appId: app.appId, tags })) ids.push(one.sandboxId);
    return ids;
  };
  assert.deepEqual(await listed({ owner: 'sdk' }), [...others.map((one) => one.sandboxId).reverse(), box.sandboxId]);
  assert.deepEqual(await listed({ owner: 'sdk', sid: 'two' }), [box.sandboxId]);
  assert.deepEqual(await listed({ sid: 'one' }), []);
  for (const other of others) await other.terminate();
  await until(async () => (await exists()).length === 1);
});

await check('commands run, take input, and tell how they ended', async () => {
  await until(async () => (await exists())[0].state === 'running');
  const run = await box.exec(['sh', '-c', 'echo out-$DEMO; echo err 1>&2; exit 4']);
  assert.equal(await run.stdout.readText(), 'out-x y\n');
  assert.equal(await run.stderr.readText(), 'err\n');
  assert.equal(await run.wait(), 4);
  const again = await (await client.sandboxes.fromId(box.sandboxId)).exec(['cat']);
  const writer = again.stdin.getWriter();
  await writer.write('through');
  await writer.close();
  assert.equal(await again.stdout.readText(), 'through');
});

await check('the nested server answers through the tunnel', async () => {
  const tunnel = (await (await client.sandboxes.fromId(box.sandboxId)).tunnels())[3000];
  assert.equal(tunnel.url, (await box.tunnels())[3000].url); // as the create answered
  assert.match(tunnel.url, /^https:\/\//);
  const plain = tunnel.url.replace('https:', 'http:');
  await until(async () => (await fetchAt(`${plain}/alive`)).status === 200);
  assert.equal((await fetchAt(`${plain.replace('-3000.', '-3001.')}/alive`)).status, 404);
});

await check('throttling is waited for as long as the policy says', async () => {
  await faults(`throttled:1@${method('SandboxCreateV2')}`);
  const before = Date.now();
  const waited = await client.sandboxes.create(app, image, {});
  assert.ok(Date.now() - before >= 1_000);
  await waited.terminate();
  await faults(`status:429@${method('SandboxCreateV2')}`);
  const error = await failure(() => client.sandboxes.create(app, image, {}));
  assert.ok(error instanceof ResourceExhaustedError || error.code === 8, error.stack);
});

await check('a create whose answer is lost has happened', async () => {
  await faults(`answer-lost@${method('SandboxCreateV2')}`);
  await failure(() => impatient.sandboxes.create(app, image, { name: 'lost' }));
  const lost = await client.sandboxes.experimentalFromName('proof', 'lost');
  await lost.terminate();
  await until(async () => (await exists()).length === 1);
});

await check('one that cannot start says so', async () => {
  await faults(`wrong-state@${method('SandboxCreateV2')}`);
  const sick = await client.sandboxes.create(app, image, {});
  await until(async () => (await sick.poll()) !== null);
});

await check('terminate, again, and of what never was', async () => {
  assert.equal(await box.terminate({ wait: true }), 137);
  const same = await client.sandboxes.fromId(box.sandboxId);
  await same.terminate();
  const nobody = await client.sandboxes.fromId('sb-00000000000000000000000000');
  assert.ok(await missing(() => nobody.terminate()));
  assert.deepEqual(await exists(), []);
});

done();
