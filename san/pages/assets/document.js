// How data enter a page and text leaves it: only as text nodes, so that no name can become markup.
'use strict';

const DATA = JSON.parse(document.getElementById('data').textContent);

function byId(id) {
  return document.getElementById(id);
}

/** A new element; properties are set, children are elements or texts. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes('-') || name === 'role' || name === 'for') element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** The numbers of a base64 text; the data are little-endian, as every machine with a browser is. */
function numbers(text, Type = Float32Array) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return new Type(bytes.buffer);
}

const COUNTS = { 1: Int8Array, 2: Int16Array, 4: Int32Array }; // by their bytes

/** Physical values of samples: float32 as they are, or counts with a gain and a baseline. */
function samplesOf(packed) {
  if (typeof packed === 'string') return numbers(packed);
  return Float32Array.from(numbers(packed.counts, COUNTS[packed.bytes]), (k) => (k - packed.baseline) / packed.gain);
}

/** The original: counts are stored as what they have more than the decoded ones; null is nothing more. */
function originalOf(view) {
  if (view.signal) return numbers(view.signal);
  if (view.more === undefined) return null;
  if (view.more === null) return view.decodedValues;
  const { counts, bytes, gain, baseline } = view.decoded;
  const decoded = numbers(counts, COUNTS[bytes]), more = numbers(view.more.counts, COUNTS[view.more.bytes]);
  return Float32Array.from(decoded, (k, t) => (k + more[t] - baseline) / gain);
}

/** A table with a caption; the first column of the body names its row. */
function table(caption, head, rows, most = Infinity) {
  const cell = (tag, value) => make(tag, {}, typeof value === 'number' ? short(value, 5) : String(value));
  const body = rows.slice(0, most).map((row) => make('tr', {}, ...row.map((value, i) => {
    const made = cell(i ? 'td' : 'th', value);
    if (!i) made.scope = 'row';
    return made;
  })));
  const heads = head.map((text) => make('th', { scope: 'col' }, text));
  const more = rows.length > most ? ` (the first ${most} of ${rows.length})` : '';
  return make('div', { className: 'scroll', tabIndex: 0, role: 'region', 'aria-label': caption },
    make('table', {}, make('caption', {}, caption + more),
      ...(head.length ? [make('thead', {}, make('tr', {}, ...heads))] : []), make('tbody', {}, ...body)));
}

/** Say something to those who listen, once it has not changed for a while. */
const say = (() => {
  let timer = 0;
  return (text) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      byId('status').textContent = text;
    }, 400);
  };
})();

/** Call a function before the next frame is drawn, once. */
function perFrame(action) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      action();
    });
  };
}

/** Redraw when a size, or light and dark, change. */
function redrawWith(action) {
  new ResizeObserver(action).observe(document.body);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', action);
}
