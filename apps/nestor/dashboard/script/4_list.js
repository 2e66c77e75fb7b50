// -- the list: only the rows on the screen exist, so that thousands scroll like ten --------------------------------------
const spare = 6; // rows beyond each edge
const list = { ids: [], rows: [], height: 56, filter: '', sorted: -1, asked: '' };
const troubled = { Failed: 0, Quarantined: 1, Unknown: 2, Destroying: 3, Starting: 4, Updating: 5, Queued: 6 };
const orders = {
  newest: (a, b) => b.born - a.born || (a.id < b.id ? -1 : 1),
  name: (a, b) => (a.name || a.id).localeCompare(b.name || b.id, 'en', { numeric: true }),
  trouble: (a, b) => (troubled[a.status] ?? 7) - (troubled[b.status] ?? 7) || b.born - a.born,
};

/** Which sandboxes are in it, in order; done anew when something changed. */
function sift() {
  const words = at('search').value.toLowerCase(),
    order = at('order').value;
  const asked = [words, order, list.filter].join('\n');
  if (list.sorted === known.revision && list.asked === asked) return;
  list.sorted = known.revision;
  list.asked = asked;
  const fitting = [];
  for (const s of known.sandboxes.values())
    if ((!list.filter || s.status === list.filter) && (!words || s.words.includes(words))) fitting.push(s);
  list.ids = fitting.sort(orders[order]).map(s => s.id);
}

function newRow(index) {
  const row = made(
    'div',
    null,
    'row',
    made('span', '', 'name'),
    made('span', '', 'status'),
    made('span', '', 'about'),
    made('span', null, 'strip', ...steps.map(() => made('i'))),
  );
  row.setAttribute('role', 'option');
  row.id = `row-${index}`;
  return row;
}

function fillRow(row, s, index) {
  const [name, status, about, strip] = row.children;
  row.style.transform = `translateY(${index * list.height}px)`;
  const selected = String(s.id === chosen);
  if (row.getAttribute('aria-selected') !== selected) row.setAttribute('aria-selected', selected);
  say(
    about,
    [s.provider, s.tenant === 'default' ? '' : s.tenant, ago(Date.now() - s.born)].filter(Boolean).join(' · '),
  );
  if (row.shown === s.id && row.version === s.version && row.index === index) return;
  Object.assign(row, { shown: s.id, version: s.version, index });
  row.setAttribute('aria-posinset', index + 1);
  row.setAttribute('aria-setsize', list.ids.length);
  say(name, s.name || s.id);
  say(status, s.status);
  status.className = `status ${tone(s.status)}`;
  steps.forEach((step, i) => {
    const entry = s.timeline.findLast(t => t.step === step);
    strip.children[i].className = entry ? entry.outcome : '';
  });
}

function drawList() {
  sift();
  const place = at('list'),
    rows = at('rows');
  if (place.offsetParent === null) return;
  rows.style.height = `${list.ids.length * list.height}px`;
  const first = Math.max(0, Math.floor(place.scrollTop / list.height) - spare);
  const last = Math.min(list.ids.length, Math.ceil((place.scrollTop + place.clientHeight) / list.height) + spare);
  const needed = Math.ceil(place.clientHeight / list.height) + 2 * spare + 1;
  while (list.rows.length < needed) rows.append(list.rows[list.rows.push(newRow(list.rows.length)) - 1]);
  for (let i = 0; i < list.rows.length; ++i) list.rows[i].used = false;
  place.removeAttribute('aria-activedescendant');
  for (let index = first; index < last; ++index) {
    const s = known.sandboxes.get(list.ids[index]),
      row = list.rows[index % list.rows.length];
    row.used = true;
    row.hidden = false;
    if (!s) continue; // forgotten since the last sifting
    fillRow(row, s, index);
    if (s.id === chosen) place.setAttribute('aria-activedescendant', row.id);
    if (s.stale) {
      s.stale = false;
      want(s.id);
    }
  }
  for (const row of list.rows) if (!row.used) row.hidden = true;
  if (last > first && !list.painted) list.painted = requestAnimationFrame(() => performance.mark('rows painted'));
  const all = known.sandboxes.size.toLocaleString('en'),
    shown = list.ids.length.toLocaleString('en');
  say(
    at('count'),
    known.sandboxes.size === 0
      ? 'None yet: nestor sandbox create -f spec.yaml'
      : shown === all
        ? `${all} sandboxes`
        : `${shown} of ${all} sandboxes`,
  );
}

let chipsDrawn = '';
function drawChips() {
  if (chipsDrawn === `${known.revision} ${list.filter}`) return;
  chipsDrawn = `${known.revision} ${list.filter}`;
  const counts = {};
  for (const s of known.sandboxes.values()) counts[s.status] = (counts[s.status] || 0) + 1;
  const wanted = [
    ['', known.sandboxes.size],
    ...statuses.filter(s => counts[s] || s === list.filter).map(s => [s, counts[s] || 0]),
  ];
  const chips = at('chips');
  const kept = new Map([...chips.children].map(chip => [chip.dataset.status, chip]));
  for (const [status, count] of wanted) {
    let chip = kept.get(status);
    kept.delete(status);
    if (!chip) {
      chip = made('button', null, '', status && made('i', null, tone(status)), status || 'All', made('span'));
      chip.dataset.status = status;
      chip.onclick = () => {
        list.filter = list.filter === status ? '' : status;
        at('list').scrollTop = 0;
        draw();
      };
    }
    say(chip.lastChild, count.toLocaleString('en'));
    chip.setAttribute('aria-pressed', String(list.filter === status));
    const place = wanted.findIndex(w => w[0] === status);
    if (chips.children[place] !== chip) chips.insertBefore(chip, chips.children[place] || null);
  }
  for (const gone of kept.values()) gone.remove();
}

/** Brings the row into view. */
function reveal(index) {
  const place = at('list'),
    top = index * list.height;
  if (top < place.scrollTop) place.scrollTop = top;
  else if (top + list.height > place.scrollTop + place.clientHeight)
    place.scrollTop = top + list.height - place.clientHeight;
}

function moveInList(event) {
  const page = Math.max(1, Math.floor(at('list').clientHeight / list.height) - 1),
    last = list.ids.length - 1;
  const now = list.ids.indexOf(chosen);
  const to = {
    ArrowDown: now + 1,
    ArrowUp: now < 0 ? 0 : now - 1,
    PageDown: now + page,
    PageUp: now - page,
    Home: 0,
    End: last,
  }[event.key];
  if (event.key === 'Enter' && chosen) return at('story').querySelector('h2')?.focus();
  if (to === undefined || last < 0) return;
  event.preventDefault();
  const index = Math.min(last, Math.max(0, to));
  choose(list.ids[index], true);
  reveal(index);
}
