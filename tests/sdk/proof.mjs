// What the scripts share: checks that name what was expected, and a plain HTTP request that can name any host, because
// the hosts of sandboxes' ports are in nobody's DNS here.
import http from 'node:http';
import assert from 'node:assert/strict';

let passed = 0;

export async function check(what, body) {
  try {
    await body();
    passed += 1;
    console.log(`ok - ${what}`);
  } catch (error) {
    console.log(`not ok - ${what}\n${error?.stack ?? error}`);
    process.exitCode = 1;
  }
}

/** The error that `body` ends with; no error is a failure. */
export async function failure(body) {
  try {
    await body();
  } catch (error) {
    return error;
  }
  assert.fail('it went well, and should not have');
}

export function done() {
  console.log(`${passed} checks passed`);
  process.exit(process.exitCode ?? 0);
}

/** One request to 127.0.0.1 under the host name of `url`; redirects are not followed. */
export function fetchAt(url, { method = 'GET', headers = {}, body } = {}) {
  const u = new URL(url);
  return new Promise((resolve, reject) => {
    const asked = http.request(
      { host: '127.0.0.1', port: u.port, path: u.pathname + u.search, method, headers: { ...headers, host: u.host } },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (part) => (text += part));
        answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }));
      });
    asked.on('error', reject);
    asked.end(body);
  });
}

export async function admin(path, body) {
  const answer = await fetchAt(process.env.NESTOR_EMULATOR_ADMIN + path,
    body ? { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {});
  assert.equal(answer.status, 200, answer.text);
  return JSON.parse(answer.text);
}

/** Waits until `what` gives something truthy. */
export async function until(what, ms = 10_000) {
  for (const end = Date.now() + ms; ;) {
    const got = await what();
    if (got) return got;
    if (Date.now() > end) assert.fail(`still not so after ${ms} ms: ${what}`);
    await new Promise((again) => setTimeout(again, 20));
  }
}

export { assert };
