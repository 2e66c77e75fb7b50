// -- charts: starts, time to Ready, failures by step; of the sandboxes that the node still tells of ---------------------
const spans = [
  [120e3, 24, 'the last 2 minutes'],
  [15 * 60e3, 30, 'the last 15 minutes'],
  [3600e3, 30, 'the last hour'],
  [24 * 3600e3, 24, 'the last 24 hours'],
];

/** The shortest span that holds nearly all, cut into equal pieces: [{from, to, all}]. */
function buckets(now) {
  const all = [...known.sandboxes.values()];
  const old =
    quantile(
      all.map(s => now - s.born).sort((a, b) => a - b),
      0.95,
    ) || 0;
  const [length, count, words] = spans.find(s => old <= s[0]) || spans[spans.length - 1];
  const each = length / count,
    made = Array.from({ length: count }, () => ({ ready: 0, failed: 0, other: 0, times: [] }));
  for (const s of all) {
    const piece = made[count - 1 - Math.floor((now - s.born) / each)] || (s.born > now ? made[count - 1] : null);
    if (!piece) continue;
    ++piece[s.readyAfter >= 0 ? 'ready' : s.status === 'Failed' ? 'failed' : 'other'];
    if (s.readyAfter >= 0) piece.times.push(s.readyAfter);
  }
  for (const piece of made) piece.times.sort((a, b) => a - b);
  return { pieces: made, words, each };
}

const nothing = text => made('div', text, 'nothing');
const fit = most =>
  [1, 2, 5].map(f => f * 10 ** Math.floor(Math.log10(Math.max(1, most)))).find(n => n >= most) ||
  10 ** Math.ceil(Math.log10(Math.max(1, most)));

function frame(place, label) {
  const width = place.clientWidth,
    height = place.clientHeight;
  return {
    width,
    height,
    svg: drawn('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label }),
  };
}

function drawStarts({ pieces, words, each }) {
  say(at('starts-span'), known.sandboxes.size ? `· ${words}` : '');
  if (!known.sandboxes.size) return at('starts').replaceChildren(nothing('Nothing was started yet'));
  const total = kind => pieces.reduce((sum, p) => sum + p[kind], 0);
  const { width, height, svg } = frame(
    at('starts'),
    `Starts in ${words}: ${total('ready')} came up, ${total('failed')} failed, ${total('other')} neither yet`,
  );
  const most = fit(Math.max(...pieces.map(p => p.ready + p.failed + p.other))),
    left = 30,
    floor = height - 16;
  const step = (width - left) / pieces.length,
    y = n => floor - ((floor - 6) * n) / most;
  for (const n of [0, most / 2, most].filter(n => Number.isInteger(n)))
    svg.append(
      drawn('line', { class: 'grid', x1: left, x2: width, y1: y(n), y2: y(n) }),
      label(left - 5, y(n) + 4, n, 'end'),
    );
  pieces.forEach((p, i) => {
    let done = 0;
    for (const [kind, color] of [
      ['ready', 'good'],
      ['other', 'busy'],
      ['failed', 'bad'],
    ]) {
      if (!p[kind]) continue;
      const box = drawn('rect', {
        class: `fill ${color}`,
        x: left + i * step + 1,
        width: Math.max(1, step - 2),
        rx: 1,
        y: y(done + p[kind]),
        height: y(done) - y(done + p[kind]),
      });
      box.append(drawn('title', {}, `${p[kind]} ${kind === 'other' ? 'neither yet' : kind}`));
      svg.append(box);
      done += p[kind];
    }
  });
  svg.append(
    label(left, height - 2, ago(each * pieces.length) + ' ago', 'start'),
    label(width, height - 2, 'now', 'end'),
  );
  at('starts').replaceChildren(svg);
}

function label(x, y, text, anchor) {
  return drawn('text', { x, y, 'text-anchor': anchor }, String(text));
}

function drawTimes({ pieces, words }) {
  const all = pieces.flatMap(p => p.times).sort((a, b) => a - b);
  if (!all.length) return at('times').replaceChildren(nothing('None became Ready yet'));
  const rows = [
    ['p50', 0.5, 'good'],
    ['p90', 0.9, 'busy'],
    ['p99', 0.99, 'bad'],
  ];
  const figures = made(
    'div',
    null,
    'figures',
    ...rows.map(([name, q, color]) =>
      made('div', null, '', made('b', span(quantile(all, q))), made('span', name, color)),
    ),
    made('div', null, '', made('b', all.length.toLocaleString('en')), made('span', 'came up')),
  );
  at('times').replaceChildren(figures);
  const { width, height, svg } = frame(
    at('times'),
    `Time to Ready in ${words}: half within ${span(quantile(all, 0.5))}, ` +
      `99 of 100 within ${span(quantile(all, 0.99))}`,
  );
  const top = height - figures.offsetHeight - 8,
    low = Math.log(Math.max(1, all[0])),
    high = Math.log(Math.max(2, all[all.length - 1]));
  const y = ms => top - 4 - ((top - 10) * (Math.log(Math.max(1, ms)) - low)) / Math.max(0.7, high - low);
  svg.setAttribute('viewBox', `0 0 ${width} ${top}`);
  const step = width / pieces.length;
  for (const [name, q, color] of rows.reverse()) {
    const points = pieces
      .map((p, i) => p.times.length && [(i + 0.5) * step, y(quantile(p.times, q))])
      .filter(Boolean);
    const path = points.map(([x, v], i) => `${i ? 'L' : 'M'}${x.toFixed(1)} ${v.toFixed(1)}`).join('');
    svg.append(drawn('path', { class: `stroke ${color}`, d: path }, drawn('title', {}, name)));
    for (const [x, v] of points) svg.append(drawn('circle', { class: `fill ${color}`, cx: x, cy: v, r: 2.2 }));
  }
  svg.append(drawn('line', { class: 'grid', x1: 0, x2: width, y1: top - 0.5, y2: top - 0.5 }));
  at('times').append(svg);
}

/** Every try that failed, those that a repetition made good, too. */
function drawFailures() {
  const counts = new Map([...steps, ...stepsOfEnd].map(step => [step, 0]));
  for (const s of known.sandboxes.values())
    for (const t of s.timeline) {
      const failed = Math.max(0, t.attempts - 1) + (t.outcome === 'failed' ? 1 : 0);
      if (failed) counts.set(t.step, (counts.get(t.step) || 0) + failed);
    }
  const rows = [...counts].filter(([, n]) => n),
    most = Math.max(1, ...rows.map(([, n]) => n));
  if (!rows.length) return at('failures').replaceChildren(nothing('No step failed'));
  at('failures').replaceChildren(
    ...rows.map(([step, n]) => {
      const bar = made('i');
      bar.style.width = `${(100 * n) / most}%`;
      return made('div', null, 'meter', made('span', step), bar, made('span', n.toLocaleString('en')));
    }),
  );
}

const chartsEvery = 1000; // milliseconds: they sum up everything there is
const charts = { revision: -1, at: 0 };
function drawCharts() {
  const now = Date.now();
  if (charts.revision === known.revision || now - charts.at < chartsEvery) return;
  if (at('charts').offsetParent === null) return;
  Object.assign(charts, { revision: known.revision, at: now });
  const summed = buckets(now);
  drawStarts(summed);
  drawTimes(summed);
  drawFailures();
}
