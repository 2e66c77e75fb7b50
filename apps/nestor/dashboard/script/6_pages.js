// -- providers, leaks, events; who is let in; what is shown ----------------------------------------------------------------
const recently = 3600e3; // milliseconds that a provider's failures count

const ofProvider = ['authenticate', 'provision', 'alive', 'destroy', 'absent'];

/** What its sandboxes say about a provider. */
function healthOf(name) {
  const h = { Queued: 0, Starting: 0, Ready: 0, Failed: 0, other: 0, oldest: 0, tried: 0, bad: 0, last: null };
  for (const s of known.sandboxes.values()) {
    if (s.provider !== name) continue;
    h[s.status in h ? s.status : 'other'] += ended(s.status) && s.status !== 'Failed' ? 0 : 1;
    if (s.status === 'Queued') h.oldest = Math.max(h.oldest, Date.now() - s.born);
    if (Date.now() - s.born > recently || !(s.readyAfter >= 0 || s.failure)) continue;
    ++h.tried;
    if (s.failure && ofProvider.includes(s.failure.step)) {
      ++h.bad;
      if (!h.last || s.born > h.last.born) h.last = { born: s.born, ...s.failure };
    }
  }
  h.word =
    h.tried === 0
      ? ['not used lately', 'faint']
      : h.bad === 0
        ? ['healthy', 'good']
        : h.bad * 2 < h.tried
          ? ['some starts fail', 'busy']
          : ['failing', 'bad'];
  return h;
}

function providerDrawn(p) {
  const h = healthOf(p.name);
  const number = (name, value) =>
    made('div', null, value ? '' : 'zero', made('b', value.toLocaleString('en')), name);
  const parts = [
    made('div', null, 'line', made('h2', p.name), made('span', h.word[0], `pill ${h.word[1]}`)),
    made('p', (p.kind === p.name ? '' : `${p.kind}: `) + p.summary, 'faint'),
    made(
      'div',
      null,
      'numbers',
      number('queued', h.Queued),
      number('starting', h.Starting),
      number('Ready', h.Ready),
      number('failed', h.Failed),
    ),
  ];
  const bar = made('div', null, 'queue'),
    all = h.Queued + h.Starting + h.Ready + h.Failed;
  for (const [count, color] of [
    [h.Ready, 'good'],
    [h.Starting, 'busy'],
    [h.Queued, 'faint'],
    [h.Failed, 'bad'],
  ]) {
    if (!count) continue;
    const piece = made('i', null, color);
    piece.style.width = `${(100 * count) / all}%`;
    bar.append(piece);
  }
  parts.push(bar);
  if (h.oldest) parts.push(made('p', `The oldest waits for ${span(h.oldest)}.`, 'busy'));
  if (h.tried)
    parts.push(
      made(
        'p',
        `Of ${h.tried.toLocaleString('en')} starts in the last hour it failed ${h.bad.toLocaleString('en')}.`,
        'faint',
      ),
    );
  if (h.last) parts.push(made('p', null, '', 'Last: ', made('code', h.last.code), ` ${h.last.remedy}`));
  const verdict = made('span', p.verdict ? p.verdict[0] : '', p.verdict ? p.verdict[1] : '');
  if (p.proves_credential) {
    const button = made('button', 'Prove its credential');
    button.onclick = () => verify(p);
    parts.push(made('div', null, 'line', button, verdict));
  }
  return made('article', null, 'card', ...parts);
}

async function verify(p) {
  p.verdict = ['asking…', 'faint'];
  changed();
  p.verdict = await ask(`/v1/providers/${encodeURIComponent(p.name)}/verify`, { method: 'POST' }).then(
    () => [`good at ${new Date().toLocaleTimeString('en-GB')}`, 'good'],
    e => [e.message, 'bad'],
  );
  changed();
}

function drawProviders() {
  const focus = focusIn(at('providers'));
  at('providers').replaceChildren(...known.providers.map(providerDrawn));
  if (focus) at('providers').querySelectorAll(focus.what)[focus.index]?.focus();
}

/** A provider that did not answer may hold anything: that is never "none". */
function verdictOn(items, lost, failures) {
  if (lost.length) return [`${lost.length} of ${items.length} runtimes are unknown to this node`, 'bad'];
  if (failures.length) return ['Not known: not every provider answered', 'odd'];
  if (!items.length) return ['No leak: there is nothing at the providers', 'good'];
  return [
    items.length === 1
      ? 'No leak: the one runtime there is known'
      : `No leak: all ${items.length} runtimes there are known`,
    'good',
  ];
}

/** A call to every provider: made when the page is opened, and when asked for. */
async function drawLeaks() {
  const place = at('leaks'),
    card = (...parts) => made('div', null, 'card', ...parts);
  place.replaceChildren(card(made('p', 'Asking the providers…', 'faint')));
  let found;
  try {
    found = await ask('/v1/leaks');
  } catch (e) {
    return place.replaceChildren(
      card(made('p', e.status === 403 ? "Only an admin's token may look for leaks." : e.message, 'busy')),
    );
  }
  const items = found.items || [],
    lost = items.filter(i => !i.known),
    failures = found.failures || [];
  const [verdict, color] = verdictOn(items, lost, failures);
  const parts = [
    card(
      made(
        'div',
        null,
        'line',
        made('h2', verdict, color),
        made('span', new Date().toLocaleTimeString('en-GB'), 'faint'),
      ),
    ),
  ];
  if (found.not_covered?.length)
    parts[0].append(made('p', `Cannot be asked what it has: ${found.not_covered.join(', ')}.`, 'faint'));
  if (lost.length)
    parts.push(
      card(
        leakTable(lost),
        made('p', null, 'faint', made('code', 'nestor leak reap --dry-run'), ' says what would be ended.'),
      ),
    );
  for (const failure of failures) parts.push(failureDrawn(failure));
  place.replaceChildren(...parts);
}

function leakTable(items) {
  const head = made(
    'tr',
    null,
    '',
    ...['Provider', 'Runtime', 'Sandbox', 'State', 'Created'].map(word => made('th', word)),
  );
  return made(
    'div',
    null,
    'wide',
    made(
      'table',
      null,
      '',
      head,
      ...items.map(i =>
        made(
          'tr',
          null,
          '',
          made('td', i.provider),
          made('td', i.ref, 'mono'),
          made('td', i.sandbox, 'mono'),
          made('td', i.state),
          made('td', i.created_at),
        ),
      ),
    ),
  );
}

let eventsDrawn = '';
function drawEvents() {
  const words = at('event-search').value.toLowerCase();
  const key = `${known.told} ${known.events.length} ${words}`;
  if (key === eventsDrawn) return;
  eventsDrawn = key;
  const rows = [];
  for (const event of known.events) {
    if (rows.length === pageSize) break;
    const s = known.sandboxes.get(event.sandbox),
      name = s?.name || event.sandbox;
    if (words && !`${name} ${event.sandbox} ${whatOf(event)[0]}`.toLowerCase().includes(words)) continue;
    const row = told(event),
      link = made('a', name);
    link.href = `#/sandboxes/${event.sandbox}`;
    row.insertBefore(link, row.lastChild);
    rows.push(row);
  }
  at('events').replaceChildren(...(rows.length ? rows : [made('li', 'Nothing happened yet', 'faint')]));
}

function drawAbout() {
  const n = known.node;
  at('draining').hidden = !n || n.accepting;
  say(at('about'), n ? `Nestor ${n.version} · installation ${n.installation}` : '');
}

const pages = {
  sandboxes: () => {
    drawChips();
    drawList();
    drawStory();
    drawCharts();
  },
  providers: drawProviders,
  leaks: () => {},
  events: drawEvents,
};
let page = 'sandboxes';

function draw() {
  if (!token) return;
  pages[page]();
  drawAbout();
}

function route() {
  const [, name = 'sandboxes', id = ''] = location.hash.split('/');
  page = name in pages ? name : 'sandboxes';
  for (const each of Object.keys(pages)) at(`page-${each}`).hidden = !token || each !== page;
  for (const link of document.querySelectorAll('nav a'))
    link.hash === `#/${page}` ? link.setAttribute('aria-current', 'page') : link.removeAttribute('aria-current');
  const opened = page === 'sandboxes' ? decodeURIComponent(id) : chosen;
  document.body.classList.toggle('reading', page === 'sandboxes' && opened !== '');
  if (opened !== chosen) {
    chosen = opened;
    if (token) openStory(chosen);
  }
  if (token && page === 'leaks') drawLeaks();
  Object.assign(charts, { revision: -1, at: 0 });
  draw();
}

function lamp(state, text) {
  document.querySelector('.lamp').className = `lamp ${state}`;
  say(at('node-text'), text);
}

function showSignedIn(yes) {
  at('door').hidden = yes;
  at('sign-out').hidden = !yes;
  document.querySelector('nav').hidden = !yes;
  at('about').hidden = !yes;
}

async function signIn() {
  showSignedIn(true);
  route();
  while (token)
    try {
      const first = peek(); // painted while the rest is asked for
      const [about] = await Promise.all([ask('/version'), catchUp(), first]);
      [known.providers, known.node] = await Promise.all([
        ask('/v1/providers').then(told => told.items),
        ask('/v1/node').catch(() => null), // an admin's
      ]);
      lamp('on', `live · ${about.version}`);
      trouble('');
      openStory(chosen);
      await Promise.all([listen(), loadAll()]);
    } catch (e) {
      stream?.abort();
      if (!token) return;
      lamp('off', 'trying again');
      trouble(`Not connected: ${e.message}.`);
      await new Promise(go => setTimeout(go, retryAfter));
    }
}

function signOut(why) {
  token = '';
  sessionStorage.removeItem('nestor-token');
  stream?.abort();
  known.sandboxes.clear();
  known.events = [];
  known.node = null;
  wantedNow.clear();
  showSignedIn(false);
  route();
  lamp('', 'not signed in');
  trouble(typeof why === 'string' ? why : '');
  at('token').focus();
}

function begin() {
  at('search').oninput = at('order').onchange = () => {
    at('list').scrollTop = 0;
    draw();
  };
  at('event-search').oninput = draw;
  at('look').onclick = drawLeaks;
  at('sign-out').onclick = signOut;
  at('list').addEventListener('scroll', () => requestAnimationFrame(drawList), { passive: true });
  at('list').addEventListener('keydown', moveInList);
  at('rows').onclick = e => {
    const row = e.target.closest('.row');
    if (row) choose(row.shown, false);
  };
  at('sign-in').onsubmit = e => {
    e.preventDefault();
    token = at('token').value.trim();
    at('token').value = '';
    sessionStorage.setItem('nestor-token', token);
    signIn();
  };
  onhashchange = onpopstate = route;
  onresize = () => {
    Object.assign(charts, { revision: -1, at: 0 });
    list.height = 3.5 * parseFloat(getComputedStyle(document.documentElement).fontSize);
    draw();
  };
  onresize();
  setInterval(draw, drawEvery); // ages grow, bars of what runs, too
  token ? signIn() : showSignedIn(false);
}
begin();
