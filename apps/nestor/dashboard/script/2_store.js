// -- what is known: sandboxes by id, the latest events, how the node is -----------------------------------------------
const eventsKept = 500,
  screenful = 40, // rows of the tallest usual screen
  pageSize = 200;
const drawEvery = 250; // milliseconds: a busy node tells more than eyes can follow
const fetchesAtOnce = 6; // of sandboxes that are on the screen and changed
const retryAfter = 2000; // milliseconds
const known = { sandboxes: new Map(), events: [], told: 0, lastEvent: 0, providers: [], node: null, revision: 0 };
let token = sessionStorage.getItem('nestor-token') || '';
let stream = null,
  drawTimer = 0,
  fetching = 0;
const wantedNow = new Set(); // ids to be fetched

async function ask(path, more = {}) {
  const answer = await fetch(path, {
    cache: 'no-store',
    ...more,
    headers: { Authorization: 'Bearer ' + token, ...more.headers },
  });
  if (answer.status === 401) signOut("The token is not one of this node's.");
  if (!answer.ok) {
    const why = await answer.json().catch(() => ({}));
    const error = new Error(
      [why.title || `the node answered ${answer.status}`, why.detail, why.remedy].filter(Boolean).join(' · '),
    );
    error.status = answer.status;
    throw error;
  }
  return answer.status === 204 ? null : answer.json();
}

function changed() {
  ++known.revision;
  drawTimer ||= setTimeout(() => {
    drawTimer = 0;
    requestAnimationFrame(draw);
  }, drawEvery);
}

/** Keeps what lists and charts need; conditions are asked for when one is looked at. */
function keep(seen, whole) {
  const before = known.sandboxes.get(seen.id);
  const born =
    Date.parse(seen.timeline[0]?.started_at || seen.runtime?.created_at || '') || before?.born || Date.now();
  const one = {
    ...seen,
    born,
    stale: false,
    version: (before?.version || 0) + 1,
    conditions: whole ? seen.conditions : before?.conditions || [],
  };
  one.readyAfter = readyAfter(one);
  one.words = [one.id, one.name, one.provider, one.tenant, ...Object.entries(one.labels).map(l => l.join('='))]
    .join(' ')
    .toLowerCase();
  known.sandboxes.set(seen.id, one);
  return one;
}

/** Milliseconds from leaving the queue to Ready; NaN when it never was, or was made ready anew since. */
function readyAfter(s) {
  const queue = s.timeline.find(t => t.step === 'queue'),
    ready = s.timeline.find(t => t.step === 'ready');
  return ready?.outcome === 'ok' && queue?.ended_at ? Date.parse(ready.ended_at) - Date.parse(queue.ended_at) : NaN;
}

/** What fills the screen, before anything else is known: `loadAll` asks for it again. */
async function peek() {
  if (known.sandboxes.size) return;
  const page = await ask(`/v1/sandboxes?limit=${screenful}`);
  for (const each of page.items) keep(each, false);
  ++known.revision;
  requestAnimationFrame(draw);
}

async function loadAll() {
  const seen = new Set();
  let cursor = '';
  do {
    const page = await ask(`/v1/sandboxes?limit=${pageSize}` + (cursor && `&cursor=${cursor}`));
    for (const each of page.items) {
      seen.add(each.id);
      keep(each, false);
    }
    cursor = page.next_cursor;
    ++known.revision;
    if (!at('page-sandboxes').hidden) requestAnimationFrame(draw);
    await new Promise(go => setTimeout(go)); // between pages the tab answers
  } while (cursor);
  for (const [id, s] of known.sandboxes) if (!seen.has(id) && !s.stale) known.sandboxes.delete(id); // stale ones were told of meanwhile
  changed();
}

/** Soon; never more than a few at once. */
function want(id) {
  wantedNow.add(id);
  while (fetching < fetchesAtOnce && wantedNow.size) {
    const [next] = wantedNow;
    wantedNow.delete(next);
    ++fetching;
    const told = known.sandboxes.get(next)?.version;
    ask(`/v1/sandboxes/${encodeURIComponent(next)}`)
      .then(
        s => {
          const old = known.sandboxes.get(next)?.version !== told; // an event overtook the answer: it is asked for again
          keep(s, true).stale = old;
        },
        e => e.status === 404 && known.sandboxes.delete(next),
      )
      .finally(() => {
        --fetching;
        changed();
        if (wantedNow.size) want(wantedNow.values().next().value);
      });
  }
}

/** What an event alone says of a sandbox, until it is fetched. */
function firstHeardOf(event) {
  return {
    id: event.sandbox,
    name: null,
    tenant: event.tenant,
    provider: '',
    labels: {},
    status: 'Queued',
    generation: 0,
    observed_generation: 0,
    conditions: [],
    runtime: null,
    timeline: [],
    failure: null,
    born: Date.parse(event.at),
    readyAfter: NaN,
    words: event.sandbox,
    version: 0,
    stale: true,
  };
}

/** An event says enough for lists; what is on the screen is fetched whole besides. */
function apply(event) {
  let s = known.sandboxes.get(event.sandbox);
  if (!s) known.sandboxes.set(event.sandbox, (s = firstHeardOf(event)));
  s.stale = true;
  ++s.version;
  if (event.kind === 'status') {
    s.status = event.status;
    s.observed_generation = event.observed_generation;
  } else if (event.kind === 'step') {
    let entry = s.timeline.findLast(t => t.step === event.step);
    if (!entry || (entry.outcome === 'ok' && event.outcome === 'running'))
      s.timeline.push((entry = { step: event.step, started_at: event.at }));
    Object.assign(entry, {
      outcome: event.outcome,
      attempts: event.attempts,
      ended_at: event.outcome === 'running' ? null : event.at,
    });
    if (event.failure) s.failure = event.failure;
    if (event.step === 'ready') s.readyAfter = readyAfter(s);
  }
}

function heard(event) {
  known.lastEvent = event.id;
  ++known.told;
  known.events.unshift(event);
  if (known.events.length > eventsKept) known.events.length = eventsKept;
  apply(event);
  storyHeard(event);
  changed();
}

// EventSource cannot send a token; this reads the same stream.
async function listen() {
  stream = new AbortController();
  const answer = await fetch('/v1/events', {
    signal: stream.signal,
    cache: 'no-store',
    headers: {
      Authorization: 'Bearer ' + token,
      Accept: 'text/event-stream',
      'Last-Event-ID': String(known.lastEvent),
    },
  });
  if (!answer.ok) throw new Error(`the node answered ${answer.status}`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ''; ;) {
    const { done, value } = await reader.read();
    if (done) throw new Error('the node closed the stream');
    text += value;
    const parts = text.split('\n\n');
    text = parts.pop();
    for (const part of parts) {
      const lines = part.split('\n');
      const data = lines.find(l => l.startsWith('data: '));
      if (lines.includes('event: reset')) await loadAll();
      else if (data) heard(JSON.parse(data.slice(6)));
    }
  }
}

/** The latest events come before the sandboxes: what happens meanwhile is then told by the stream. */
async function catchUp() {
  const { latest } = await ask('/v1/events?limit=1');
  known.lastEvent = Math.max(latest - pageSize, 0);
  const recent = await ask(`/v1/events?limit=${pageSize}&after=${known.lastEvent}`);
  known.events = recent.items.reverse();
  known.lastEvent = recent.last_id;
}
