'use strict';
// What a node carries, live. Everything shown is put in as text, never as markup; the token stays in this tab.
const statuses = ['Queued', 'Starting', 'Ready', 'Updating', 'Paused', 'Unknown', 'Quarantined', 'Destroying', 'Failed',
  'Destroyed'];
const good = ['Ready'], bad = ['Failed', 'Quarantined', 'Unknown'];
const eventsShown = 200, pageSize = 200, refreshDelay = 250; // rows, rows, milliseconds
const at = id => document.getElementById(id);
const sandboxes = new Map();
const stale = new Set();
let token = sessionStorage.getItem('nestor-token') || '';
let chosen = location.hash.slice(1), lastEvent = 0, stream = null, refreshing = 0, drawing = 0;

function made(name, text, ...classes) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  node.classList.add(...classes.filter(Boolean));
  return node;
}
const tone = status => good.includes(status) ? 'good' : bad.includes(status) ? 'bad' :
  status === 'Destroyed' ? 'faint' : 'busy';
function trouble(text) {
  at('trouble').hidden = !text;
  at('trouble').textContent = text || '';
}

async function ask(path, more) {
  const answer = await fetch(path, { headers: { Authorization: 'Bearer ' + token }, cache: 'no-store', ...more });
  if (answer.status === 401) signOut('The token is not one of this node\'s.');
  if (!answer.ok) {
    const why = await answer.json().catch(() => ({}));
    throw new Error(`${why.title || answer.status}: ${why.detail || ''} ${why.remedy || ''}`);
  }
  return answer.json();
}

async function loadAll() {
  sandboxes.clear();
  let cursor = '';
  do {
    const page = await ask(`/v1/sandboxes?limit=${pageSize}` + (cursor ? `&cursor=${cursor}` : ''));
    for (const each of page.items) sandboxes.set(each.id, each);
    cursor = page.next_cursor;
    draw();
  } while (cursor);
}

async function refresh() {
  refreshing = 0;
  const ids = [...stale];
  stale.clear();
  for (const id of ids)
    try {
      sandboxes.set(id, await ask(`/v1/sandboxes/${id}`));
    } catch { sandboxes.delete(id); }
  draw();
}

function draw() {
  if (!drawing) drawing = requestAnimationFrame(() => { drawing = 0; drawList(); drawStory(); });
}

function drawList() {
  const wanted = at('status').value, words = at('search').value.toLowerCase();
  const rows = [];
  for (const s of sandboxes.values()) {
    if (wanted && s.status !== wanted) continue;
    if (words && !(s.id + ' ' + (s.name || '')).toLowerCase().includes(words)) continue;
    const button = made('button');
    button.append(made('span', s.name || s.id), made('span', s.status, tone(s.status)),
      made('span', `${s.provider} · ${s.tenant}`, 'faint'),
      made('span', `generation ${s.observed_generation}/${s.generation}`, 'faint'));
    if (s.id === chosen) button.setAttribute('aria-current', 'true');
    button.onclick = () => { chosen = s.id; location.hash = s.id; draw(); };
    const row = made('li');
    row.append(button);
    rows.push(row);
  }
  const focused = [...at('sandboxes').children].findIndex(row => row.contains(document.activeElement));
  at('sandboxes').replaceChildren(...rows);
  if (focused >= 0 && rows[focused]) rows[focused].firstChild.focus();
  at('count').textContent = `(${rows.length} of ${sandboxes.size})`;
}

function drawStory() {
  const s = sandboxes.get(chosen);
  at('story-title').textContent = s ? (s.name || s.id) : 'Choose a sandbox';
  if (!s) return at('story').replaceChildren();
  const parts = [made('p', `${s.status} · ${s.id} · ${s.provider} · generation ${s.observed_generation} of ${s.generation}`)];
  const times = s.timeline.map(t => [Date.parse(t.started_at), t.ended_at ? Date.parse(t.ended_at) : Date.now()]);
  const first = Math.min(...times.map(t => t[0])), whole = Math.max(1, Math.max(...times.map(t => t[1])) - first);
  s.timeline.forEach((t, i) => {
    const row = made('div', undefined, 'step'), track = made('div', undefined, 'track');
    const bar = made('div', undefined, 'bar', t.outcome === 'ok' ? 'good' : t.outcome === 'failed' ? 'bad' : 'busy');
    bar.style.left = `${100 * (times[i][0] - first) / whole}%`;
    bar.style.width = `${100 * (times[i][1] - times[i][0]) / whole}%`;
    track.append(bar);
    const tries = t.attempts > 1 ? `, ${t.attempts} tries` : '';
    row.append(made('span', t.step), track, made('span', `${t.outcome} ${times[i][1] - times[i][0]} ms${tries}`, 'faint'));
    parts.push(row);
  });
  if (s.failure)
    parts.push(made('div', `${s.failure.message} (${s.failure.code} at ${s.failure.step})\n${s.failure.cause}\n\n` +
      `What to do: ${s.failure.remedy}`, 'failure'));
  at('story').replaceChildren(...parts);
}

function heard(event) {
  lastEvent = event.id;
  stale.add(event.sandbox);
  if (!refreshing) refreshing = setTimeout(refresh, refreshDelay);
  const what = event.kind === 'status' ? event.status : event.kind === 'access' ? `access for ${event.token}` :
    `${event.step} ${event.outcome}` + (event.failure ? `: ${event.failure.code}` : '');
  const name = sandboxes.get(event.sandbox)?.name || event.sandbox;
  at('events').prepend(made('li', `${event.at.slice(11, 23)}  ${name}  ${what}`,
    event.outcome === 'failed' || bad.includes(event.status) ? 'bad' : ''));
  while (at('events').children.length > eventsShown) at('events').lastChild.remove();
}

// EventSource cannot send a token; this reads the same stream.
async function listen() {
  stream = new AbortController();
  const answer = await fetch('/v1/events', { signal: stream.signal, cache: 'no-store',
    headers: { Authorization: 'Bearer ' + token, Accept: 'text/event-stream', 'Last-Event-ID': String(lastEvent) } });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ''; ;) {
    const { done, value } = await reader.read();
    if (done) throw new Error('the node closed the stream');
    text += value;
    for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
      const lines = text.slice(0, end).split('\n');
      const data = lines.find(l => l.startsWith('data: '));
      if (lines.includes('event: reset')) await loadAll();
      else if (data) heard(JSON.parse(data.slice(6)));
    }
  }
}

async function signIn() {
  at('sign-in').hidden = true;
  at('sign-out').hidden = false;
  document.querySelector('main').hidden = false;
  while (token)
    try {
      const about = await ask('/version');
      const page = await ask('/v1/events?limit=1');
      lastEvent = Math.max(lastEvent, page.latest - eventsShown, 0);
      await loadAll();
      at('node').textContent = `${about.name} ${about.version}, live`;
      trouble('');
      await listen();
    } catch (e) {
      if (!token) return;
      at('node').textContent = 'not connected; trying again';
      trouble(e.message);
      await new Promise(go => setTimeout(go, 2000));
    }
}

function signOut(why) {
  token = '';
  sessionStorage.removeItem('nestor-token');
  stream?.abort();
  sandboxes.clear();
  at('events').replaceChildren();
  document.querySelector('main').hidden = true;
  at('sign-in').hidden = false;
  at('sign-out').hidden = true;
  at('node').textContent = 'not signed in';
  trouble(typeof why === 'string' ? why : '');
}

for (const s of statuses) at('status').append(new Option(s, s));
at('status').onchange = at('search').oninput = draw;
at('sign-out').onclick = signOut;
at('sign-in').onsubmit = e => {
  e.preventDefault();
  token = at('token').value.trim();
  at('token').value = '';
  sessionStorage.setItem('nestor-token', token);
  signIn();
};
onhashchange = () => { chosen = location.hash.slice(1); draw(); };
if (token) signIn();
