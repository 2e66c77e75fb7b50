// -- the story of one sandbox: how it came up, step by step, to scale; what failed and what to do -------------------------
const story = { id: '', events: [], drawn: '' };
const silence = 3; // a pause that long, measured in what went before, begins a chapter of its own
let chosen = '';

function choose(id, staysInList) {
  if (id === chosen) return;
  const address = `#/sandboxes/${id}`;
  staysInList ? history.replaceState(null, '', address) : history.pushState(null, '', address);
  route();
}

/** Its own events say when each try failed; the list of all may have forgotten them. */
async function openStory(id) {
  Object.assign(story, { id, events: [], drawn: '' });
  if (!id) return;
  want(id);
  const page = await ask(`/v1/sandboxes/${encodeURIComponent(id)}/events?limit=200`).catch(() => null);
  if (!page || story.id !== id) return;
  const later = story.events.filter(e => e.id > page.last_id);
  story.events = [...page.items, ...later];
  changed();
}

function storyHeard(event) {
  if (event.sandbox === story.id) story.events.push(event);
}

/** Steps between which nothing happened for long are told apart, each chapter to its own scale. */
function chapters(timeline, now) {
  const entries = timeline
    .map(t => {
      const from = Date.parse(t.started_at);
      return { ...t, from, to: Math.max(from, t.ended_at ? Date.parse(t.ended_at) : now) };
    })
    .sort((a, b) => a.from - b.from);
  const all = [];
  for (const entry of entries) {
    const last = all[all.length - 1];
    if (!last || entry.from - last.to > Math.max(2000, silence * (last.to - last.from)))
      all.push({ from: entry.from, to: entry.to, entries: [entry] });
    else {
      last.entries.push(entry);
      last.to = Math.max(last.to, entry.to);
    }
  }
  return all;
}

function track(entry, chapter) {
  const whole = Math.max(1, chapter.to - chapter.from),
    place = ms => `${(100 * (ms - chapter.from)) / whole}%`;
  const bar = made(
    'span',
    null,
    `bar ${toneOf(entry.outcome)} ${entry.outcome} ${entry.attempts > 1 ? 'again' : ''}`,
  );
  bar.style.left = `min(${place(entry.from)}, 100% - 3px)`;
  bar.style.width = `${(100 * (entry.to - entry.from)) / whole}%`;
  const tries = story.events
    .filter(
      e =>
        e.kind === 'step' &&
        e.step === entry.step &&
        e.failure &&
        Date.parse(e.at) >= entry.from &&
        Date.parse(e.at) <= entry.to,
    )
    .map(e => {
      const mark = made('span', null, 'try');
      mark.style.left = `min(${place(Date.parse(e.at))}, 100% - 3px)`;
      mark.title = `${clock(e.at)} ${e.failure.code}: ${e.failure.cause}`;
      return mark;
    });
  return made('div', null, 'track', bar, ...tries);
}

function chapterDrawn(chapter) {
  const rows = [];
  for (const entry of chapter.entries) {
    const took = made(
      'span',
      null,
      'took',
      entry.attempts > 1 && made('span', `${entry.attempts} tries `, 'tries'),
      span(entry.to - entry.from) + (entry.outcome === 'running' ? '…' : ''),
    );
    const name = made('span', entry.step, `step-name ${entry.outcome === 'failed' ? 'bad' : ''}`);
    const line = track(entry, chapter);
    line.setAttribute('role', 'img');
    line.setAttribute(
      'aria-label',
      `${entry.step}: ${entry.outcome}, began after ${span(entry.from - chapter.from)}`,
    );
    name.dataset.step = entry.step;
    name.dataset.outcome = entry.outcome;
    rows.push(name, line, took);
  }
  const whole = chapter.to - chapter.from;
  const ticks = (whole < 4 ? [0, 1] : [0, 0.25, 0.5, 0.75, 1]).map(part => {
    const tick = made('span', span(part * whole));
    tick.style.left = `${100 * part}%`;
    return tick;
  });
  return made('div', null, 'steps', ...rows, made('span'), made('div', null, 'axis', ...ticks), made('span'));
}

function failureDrawn(failure) {
  const box = made(
    'div',
    null,
    'failure',
    made('strong', failure.message),
    made(
      'div',
      null,
      '',
      made('code', failure.code),
      ` at ${failure.step}` + (failure.retryable ? ', may pass by itself' : ''),
    ),
  );
  if (failure.cause) box.append(made('pre', failure.cause));
  box.append(made('p', null, 'remedy', made('b', 'What to do: '), failure.remedy));
  box.setAttribute('role', 'group');
  box.setAttribute('aria-label', 'Why it failed');
  return box;
}

const act = {
  pause: s => ask(`/v1/sandboxes/${s.id}/pause`, { method: 'POST' }),
  resume: s => ask(`/v1/sandboxes/${s.id}/resume`, { method: 'POST' }),
  destroy: s => ask(`/v1/sandboxes/${s.id}`, { method: 'DELETE' }),
};

async function acted(what, s) {
  if (
    what === 'destroy' &&
    !(await sure(`Destroy ${s.name || s.id}?`, 'What works in it ends, and its runtime with it.'))
  )
    return;
  try {
    await act[what](s);
    trouble('');
    want(s.id); // the answer may be older than what the stream has told by now
  } catch (e) {
    trouble(e.message);
  }
}

function sure(title, text) {
  say(at('sure-title'), title);
  say(at('sure-text'), text);
  at('sure').returnValue = 'no';
  at('sure').showModal();
  return new Promise(answer => {
    at('sure').onclose = () => answer(at('sure').returnValue === 'yes');
  });
}

function actionsFor(s) {
  const all = [];
  const button = (what, words, tone) => {
    const made_ = made('button', words, tone);
    made_.onclick = () => acted(what, s);
    all.push(made_);
  };
  if (s.status === 'Ready') button('pause', 'Pause', '');
  if (s.status === 'Paused') button('resume', 'Resume', '');
  if (!ended(s.status) && s.status !== 'Destroying') button('destroy', 'Destroy', 'danger');
  return made('div', null, 'actions', ...all);
}

function factsOf(s) {
  const runtime = s.runtime || {};
  const rows = [
    ['Provider', s.provider],
    ['Tenant', s.tenant],
    ['Age', ago(Date.now() - s.born)],
    ['Generation', `${s.observed_generation} of ${s.generation} confirmed`],
    ['Dialect', runtime.dialect],
    ['Runtime', runtime.ref],
    ['Attempt', runtime.attempt && `${runtime.attempt}, incarnation ${runtime.incarnation}`],
    ['Time to Ready', s.readyAfter >= 0 && span(s.readyAfter)],
    [
      'Labels',
      Object.entries(s.labels)
        .map(l => l.join('='))
        .join(', '),
    ],
  ];
  return made(
    'dl',
    null,
    'facts',
    ...rows
      .filter(r => r[1])
      .map(([name, value]) =>
        made('div', null, '', made('dt', name), made('dd', String(value), name === 'Runtime' ? 'mono' : '')),
      ),
  );
}

function conditionsOf(s) {
  const rows = s.conditions.map(c => {
    const color = c.status === 'Unknown' ? 'odd' : c.type === 'Ready' ? (c.status === 'True' ? 'good' : 'bad') : '';
    const about = [c.reason, c.evidence && `evidence: ${c.evidence} (${c.evidence_step})`, c.message]
      .filter(Boolean)
      .join(' · ');
    return made('tr', null, '', made('td', c.type), made('td', c.status, color), made('td', about, 'faint'));
  });
  const head = made('tr', null, '', ...['Condition', 'Is', 'Why'].map(word => made('th', word)));
  return made(
    'details',
    null,
    '',
    made('summary', 'Conditions'),
    made('div', null, 'wide', made('table', null, '', head, ...rows)),
  );
}

function whatOf(event) {
  if (event.kind === 'status') return [event.status, tone(event.status)];
  if (event.kind === 'access') return [`access was handed to ${event.token}`, ''];
  if (event.kind !== 'step') return [event.kind, ''];
  const again = event.attempts > 1 ? `, try ${event.attempts}` : '';
  const words =
    event.outcome === 'running'
      ? `${event.step} begins${again}`
      : `${event.step} ${event.outcome} after ${span(event.took_ms)}${again}` +
        (event.failure ? ` · ${event.failure.code}` : '');
  return [words, event.failure ? 'bad' : event.outcome === 'ok' ? '' : 'faint'];
}

function told(event) {
  const [words, color] = whatOf(event),
    when = made('time', clock(event.at));
  when.dateTime = event.at;
  return made('li', null, '', when, made('span', words, color));
}

function drawStory() {
  const s = known.sandboxes.get(chosen),
    place = at('story');
  if (!s) {
    if (story.drawn !== 'none')
      place.replaceChildren(
        backLink(),
        nothing(
          chosen ? 'The node does not tell of this sandbox (any more).' : 'Choose a sandbox to see how it came up.',
        ),
      );
    story.drawn = chosen ? 'missing' : 'none';
    return;
  }
  const moving = s.timeline.some(t => t.outcome === 'running');
  const key = [
    s.id,
    s.version,
    story.events.length,
    ago(Date.now() - s.born),
    moving && Math.floor(Date.now() / drawEvery),
  ].join();
  if (s.stale) {
    s.stale = false;
    want(s.id);
  }
  if (story.drawn === key) return;
  story.drawn = key;
  const hold = {
    open: [...place.querySelectorAll('details')].map(d => d.open),
    focus: focusIn(place),
    scroll: place.querySelector('.told')?.scrollTop || 0,
  };
  const title = made('h2', s.name || s.id);
  title.tabIndex = -1;
  const parts = [
    backLink(),
    made(
      'div',
      null,
      'line',
      made('div', null, 'line', title, made('span', s.status, `pill ${tone(s.status)}`)),
      actionsFor(s),
    ),
    made('p', s.name && s.id, 'id mono'),
    factsOf(s),
  ];
  if (s.failure) parts.push(failureDrawn(s.failure));
  chapters(s.timeline, Date.now()).forEach((chapter, i) => {
    parts.push(made('h3', i ? `${ago(chapter.from - s.born)} later` : 'How it came up'), chapterDrawn(chapter));
  });
  if (s.conditions.length) parts.push(conditionsOf(s));
  const all = made(
    'details',
    null,
    '',
    made('summary', `Events (${story.events.length})`),
    made('ol', null, 'told', ...story.events.map(told).reverse()),
  );
  all.lastChild.tabIndex = 0;
  all.lastChild.setAttribute('aria-label', 'Events, the latest first');
  parts.push(all);
  place.replaceChildren(...parts.filter(Boolean));
  place.querySelectorAll('details').forEach((d, i) => {
    d.open = hold.open[i] || false;
  });
  place.querySelector('.told').scrollTop = hold.scroll;
  hold.focus && place.querySelectorAll(hold.focus.what)[hold.focus.index]?.focus({ preventScroll: true });
}

/** Which control of the place has the focus: it is drawn anew under the user's hands. */
function focusIn(place) {
  const what = 'button, summary, a, ol, h2',
    active = document.activeElement;
  const index = [...place.querySelectorAll(what)].indexOf(active);
  return index < 0 ? null : { what, index };
}

function backLink() {
  const link = made('a', '← All sandboxes');
  link.id = 'back';
  link.href = '#/sandboxes';
  return link;
}
