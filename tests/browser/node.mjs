// A real node and real nested servers for a script: started, asked, ended.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export const bin = process.env.NESTOR_BIN;
export const nestedServer = join(bin, 'nestor-nested-server');

const startsWithin = 120_000; // milliseconds; the machine may be busy
const running = new Set();
process.on('exit', () => running.forEach(child => child.kill('SIGKILL')));

/** Starts a program and waits for a line of its output that fits; {child, found: the line's match}. */
function started(program, args, line, env = {}) {
  const child = spawn(join(bin, program), args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, ...env },
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return new Promise((found, failed) => {
    const late = setTimeout(() => failed(new Error(`${program} did not say that it listens`)), startsWithin);
    child.once('exit', code => failed(new Error(`${program} ended with ${code}`)));
    createInterface(child.stdout).on('line', text => {
      const match = line.exec(text);
      if (match) {
        clearTimeout(late);
        found({ child, match });
      }
    });
  });
}

async function ended(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise(go => child.once('exit', go));
  child.kill('SIGTERM');
  await gone;
}

/** {status, headers, body (parsed when it is JSON), text}; connections are kept. */
const agent = new Agent({ keepAlive: true, maxSockets: 16 });
export function send(origin, { method = 'GET', path, headers = {}, body }) {
  return new Promise((done, failed) => {
    const out = request(origin, { method, path, headers, agent }, answer => {
      const parts = [];
      answer.on('data', part => parts.push(part));
      answer.on('error', failed);
      answer.on('end', () => {
        const text = Buffer.concat(parts).toString();
        const json = /json/.test(answer.headers['content-type'] || '');
        done({
          status: answer.statusCode,
          headers: answer.headers,
          text,
          body: json ? JSON.parse(text) : undefined,
        });
      });
    });
    out.on('error', failed);
    if (body !== undefined) out.write(body);
    out.end();
  });
}

/** `nestor serve` on a free port with that configuration (JSON is YAML). */
export async function servedNode(config = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'nestor-browser-'));
  const file = join(folder, 'node.yaml');
  const state = join(folder, 'state');
  writeFileSync(file, JSON.stringify(config));
  const node = {};
  /** On the same journal, at the address it had. */
  node.start = async () => {
    const listen = node.url ? new URL(node.url).host : '127.0.0.1:0';
    const args = ['serve', '--config', file, '--listen', listen, '--state', state];
    const { child, match } = await started('nestor', args, /listening on (\S+)/);
    Object.assign(node, { child, pid: child.pid, url: match[1] });
  };
  node.stop = () => ended(node.child);
  await node.start();
  node.token = readFileSync(join(state, 'token'), 'utf8').trim();
  node.ask = (method, path, body) =>
    send(node.url, {
      method,
      path,
      body: body && JSON.stringify(body),
      headers: {
        Authorization: `Bearer ${node.token}`,
        ...(body && { 'Content-Type': 'application/json' }),
      },
    });
  node.created = async spec => {
    const made = await node.ask('POST', '/v1/sandboxes', spec);
    if (made.status !== 202) throw new Error(`${made.status}: ${made.text}`);
    return made.body.id;
  };
  /** The sandbox, once it has one of these statuses. */
  node.until = async (id, ...statuses) => {
    for (let after = 0; ;) {
      const seen = (await node.ask('GET', `/v1/sandboxes/${id}`)).body;
      if (statuses.includes(seen.status)) return seen;
      after = (await node.ask('GET', `/v1/sandboxes/${id}/events?wait=20&after=${after}`)).body.last_id;
    }
  };
  /** Its processes would outlive it: they carry a label by which they are found among thousands. */
  node.end = async () => {
    for (const each of (await node.ask('GET', '/v1/sandboxes?limit=200&label=team=web')).body.items) {
      await node.ask('DELETE', `/v1/sandboxes/${each.id}`);
      await node.until(each.id, 'Destroyed', 'Failed');
    }
    await node.stop();
    rmSync(folder, { recursive: true });
  };
  return node;
}

/** One nested server with as many states as one likes: URL/s/NAME. */
export async function nestedStates(key, ...more) {
  const { child, match } = await started(
    'nestor-nested-server',
    ['--port', '0', '--no-rate-limit', ...more],
    /listening on (?:http:\/\/)?(\S+)/,
    { SESSION_API_KEY: key },
  );
  return { url: `http://${match[1]}`, end: () => ended(child) };
}
