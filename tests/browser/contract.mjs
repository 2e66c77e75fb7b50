// The served document against the node that serves it: a validator of OpenAPI 3.1 reads the document, then thousands of
// requests are made from it, bad ones included. Whatever is answered must be documented; what is documented must fit by
// the schemas, and nothing fails. NESTOR_BIN: the binaries; NESTOR_SEED: another run.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { nestedServer, send, servedNode } from './node.mjs';

const count = 20_000;
const atOnce = 8;
const seed = Number(process.env.NESTOR_SEED || 1);
const absent = `nst-${'a'.repeat(26)}`;

let node, document, operations;
before(async () => {
  node = await servedNode({ limits: { per_tenant: 20 } });
  document = (await node.ask('GET', '/openapi.json')).body;
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, what]) => ({ path, method: method.toUpperCase(), what })),
  );
});
after(() => node?.end());

test('the document is OpenAPI 3.1', async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(document));
  assert.ok(valid, JSON.stringify(errors, null, 1));
  assert.match(document.openapi, /^3\.1\./);
  assert.ok(operations.length > 20);
});

/** Compiled once each: the schema of what that operation answers with that status and type. */
function readerOfAnswers() {
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  ajv.addSchema({ $id: 'document', ...document });
  const compiled = new Map();
  return (operation, status, type) => {
    const path = [
      'paths',
      operation.path,
      operation.method.toLowerCase(),
      'responses',
      status,
      'content',
      type,
      'schema',
    ];
    const pointer = path
      .map(part => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')))
      .join('/');
    if (!compiled.has(pointer)) compiled.set(pointer, ajv.compile({ $ref: `document#/${pointer}` }));
    return compiled.get(pointer);
  };
}

/** Nothing when the document promises this answer. */
function objection(operation, answer, schemaOf) {
  const status = String(answer.status);
  const promised = operation.what.responses[status];
  if (!promised) return `status ${status} is not documented`;
  if (answer.status >= 500 && answer.status !== 503) return `status ${status}`;
  if (!promised.content) return answer.text ? `a body where none is documented: ${answer.text}` : '';
  const type = Object.keys(promised.content).find(each => answer.headers['content-type']?.startsWith(each));
  if (!type) return `content type ${answer.headers['content-type']} is not documented`;
  if (!type.includes('json')) return '';
  const fits = schemaOf(operation, status, type);
  return fits(answer.body) ? '' : `its body does not fit: ${JSON.stringify(fits.errors)}\n${answer.text}`;
}

/** Requests that are nearly right, by a seed. */
class Maker {
  constructor(seed, known) {
    this.state = seed >>> 0;
    this.known = known;
  }
  /** Mulberry32. */
  chance() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  below(n) {
    return Math.floor(this.chance() * n);
  }
  of(all) {
    return all[this.below(all.length)];
  }
  text() {
    return this.of([
      '',
      'x',
      '0',
      '-1',
      'null',
      '..',
      'a=b',
      '"1"',
      '*',
      'true',
      'Ready',
      absent,
      'process',
      'tok-0',
      'z'.repeat(300),
      '18446744073709551616',
      '\u{1f600}',
      '\0',
      '\ud800',
    ]);
  }
  json(depth = 0) {
    const simple = [null, true, -1, 1e300, this.text(), '120s', [], {}];
    if (depth > 2 || this.below(3)) return this.of(simple);
    if (this.below(2)) return [this.json(depth + 1), this.json(depth + 1)];
    return { [this.of(['$literal', '$env', '$keep', 'name', 'value', 'token'])]: this.json(depth + 1) };
  }
  from(schema, depth = 0) {
    if (depth > 0 && this.below(5) === 0) return this.json();
    if (schema.$ref) return this.from(document.components.schemas[schema.$ref.split('/').pop()], depth);
    if (schema.enum) return this.of(schema.enum);
    if (!schema.properties) return this.json(2);
    const made = {};
    for (const [name, inner] of Object.entries(schema.properties)) {
      const wanted = schema.required?.includes(name) ? this.below(8) > 0 : this.below(3) === 0;
      if (wanted) made[name] = this.from(inner, depth + 1);
    }
    return made;
  }
  /** Of the path's or query's own: percent-encoded, or bytes that nothing decodes. */
  encoded() {
    return this.below(6)
      ? encodeURIComponent(this.text().toWellFormed())
      : this.of(['%ff', '%00', '%2e%2e%2f', '%c0%af', '%']);
  }
  request(operation, tokens) {
    const ends = operation.method === 'DELETE'; // the one that the others need is not ended by it
    const path = operation.path.replace(/\{\w+\}/, () => (this.below(2) && !ends ? this.known : this.encoded()));
    const asked = operation.what.parameters.filter(p => this.below(3) === 0 && p.name !== 'wait');
    const query = asked
      .filter(p => p.in === 'query')
      .map(p => `${p.name}=${this.encoded()}`)
      .join('&');
    const headers = {};
    for (const p of operation.what.parameters)
      if (p.in === 'header' && (p.required ? this.below(4) : !this.below(4)))
        headers[p.name] = this.of(['*', '"1"', '1', 'k', '0', '-1', 'x'.repeat(300)]);
    const token = this.of(tokens);
    if (token) headers.Authorization = `Bearer ${token}`;
    let body;
    const media = Object.keys(operation.what.requestBody?.content || {})[0];
    if (media && this.below(8)) {
      body = JSON.stringify(this.from(operation.what.requestBody.content[media].schema));
      if (this.below(4) === 0) body = body.slice(0, this.below(body.length));
      if (this.below(8)) headers['Content-Type'] = media;
      headers['Content-Length'] = Buffer.byteLength(body);
    }
    return { method: operation.method, path: path + (query && `?${query}`), headers, body };
  }
}

test(`${count} requests made from the document`, async t => {
  const admin = node.token;
  const token = async (tenant, role) => (await node.ask('POST', '/v1/tokens', { tenant, role })).body.token;
  const tokens = [admin, admin, admin, await token('acme', 'write'), await token('acme', 'read'), '', 'nsk-none'];
  const id = await node.created({ name: 'one', labels: { team: 'web' }, runtime: { command: [nestedServer] } });
  await node.until(id, 'Ready');
  const schemaOf = readerOfAnswers();
  const asked = operations.filter(each => each.path !== '/v1/node/drain'); // the rest need a node that takes new ones
  const seen = new Map();
  let left = count;
  const asking = Array.from({ length: atOnce }, async (_, i) => {
    const maker = new Maker(seed * 1000 + i, id);
    while (left-- > 0) {
      const operation = maker.of(asked);
      const request = maker.request(operation, tokens);
      const answer = await send(node.url, request);
      const why = objection(operation, answer, schemaOf);
      assert.equal(
        why,
        '',
        `${request.method} ${request.path}\n${JSON.stringify(request.headers)}\n${request.body}\n-> ${why}`,
      );
      seen.set(answer.status, (seen.get(answer.status) || 0) + 1);
    }
  });
  await Promise.all(asking);
  t.diagnostic(
    [...seen]
      .sort((a, b) => a[0] - b[0])
      .map(([status, times]) => `${status}: ${times}`)
      .join(', '),
  );
  for (const expected of [200, 201, 202, 400, 401, 403, 404, 412, 415, 428])
    assert.ok(seen.get(expected) > 0, `nothing was answered with ${expected}`);
  assert.equal((await node.ask('GET', '/readyz')).status, 200);
});
