'use strict';
// What a node carries, live. Everything shown is put in as text, never as markup; the token stays in this tab. The files
// of this folder become one script, in the order of their names.
const statuses = [
  'Queued',
  'Starting',
  'Ready',
  'Updating',
  'Paused',
  'Unknown',
  'Quarantined',
  'Destroying',
  'Failed',
  'Destroyed',
];
const steps = [
  'queue',
  'authenticate',
  'provision',
  'alive',
  'settings',
  'git_providers',
  'secrets',
  'verify',
  'ready',
];
const stepsOfEnd = ['destroy', 'absent'];
const at = id => document.getElementById(id);

/** An element with text and classes; further arguments are its children. */
function made(name, text, classes = '', ...children) {
  const node = document.createElement(name);
  if (text !== undefined && text !== null) node.textContent = text;
  if (classes) node.className = classes;
  node.append(...children.filter(Boolean));
  return node;
}

function drawn(name, attributes, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** Only what differs is written: a page that is drawn four times a second stays selectable. */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function tone(status) {
  switch (status) {
    case 'Ready':
      return 'good';
    case 'Failed':
      return 'bad';
    case 'Unknown':
    case 'Quarantined':
      return 'odd';
    case 'Destroyed':
    case 'Paused':
      return 'faint';
    default:
      return 'busy';
  }
}
const toneOf = outcome => (outcome === 'ok' ? 'good' : outcome === 'failed' ? 'bad' : 'busy');
const ended = status => status === 'Failed' || status === 'Destroyed';

/** "840 ms", "12.4 s", "3 min 20 s", "2 h 5 min", "4 d 3 h". */
function span(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
  const units = [
    [86400, 'd', 3600, 'h'],
    [3600, 'h', 60, 'min'],
    [60, 'min', 1, 's'],
  ];
  const s = Math.floor(ms / 1000),
    [big, bigName, small, smallName] = units.find(u => s >= u[0]);
  const rest = Math.floor((s % big) / small);
  return `${Math.floor(s / big)} ${bigName}` + (rest ? ` ${rest} ${smallName}` : '');
}

/** Of age: one unit is enough. */
function ago(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  return s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
}

const clock = text => new Date(text).toLocaleTimeString('en-GB') + text.slice(19, 23);

/** Of sorted numbers. */
function quantile(sorted, q) {
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)] : NaN;
}

function trouble(text) {
  at('trouble').hidden = !text;
  say(at('trouble'), text || '');
}
