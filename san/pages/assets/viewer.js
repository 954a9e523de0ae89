// How a long signal is looked at: which samples are shown, and what is drawn of them.
'use strict';

const MOST_ROWS = 300; // of a table
const MOST_SHAPES = 300; // events that are drawn as their kernels; more are drawn as lines

class Viewer {
  constructor(views, kernels) {
    this.views = views;
    this.kernels = kernels;
    this.element = byId('viewer');
    Viewer.shown = this;
    this.beats = DATA.beats ? { position: numbers(DATA.beats.position, Int32Array), rate: numbers(DATA.beats.rate), residual: numbers(DATA.beats.residual) } : null;
    for (const id of ['view-rate', 'beats-table']) byId(id).hidden = !this.beats;
    this.listen();
    this.show(0);
  }

  /** Show another channel or signal. */
  show(number) {
    const view = this.views[number];
    if (view.x === undefined) {
      view.decodedValues = samplesOf(view.decoded);
      view.x = originalOf(view);
      if (view.x) view.error = view.decodedValues.map((v, t) => v - view.x[t]);
      if (view.envelope) for (const side of ['low', 'high']) view.envelope[side] = numbers(view.envelope[side]);
      if (view.events) {
        const { kernel, position, amplitude, first = 0 } = view.events;
        view.events = { kernel: numbers(kernel, Int32Array).map((k) => k + first), position: numbers(position, Int32Array), amplitude: numbers(amplitude) };
      }
      view.interval = this.intervals(view);
    }
    const sameLength = this.view && this.view.total === view.total && this.view.fs === view.fs;
    this.view = view;
    this.step = view.fs ? 1 / view.fs : 1;
    if (!sameLength) this.range = this.beginning();
    byId('view-error').hidden = !view.error;
    byId('view-events').hidden = !view.events || view.events.position.length === 0;
    byId('events-table').hidden = byId('view-events').hidden;
    byId('view-note').textContent = view.envelope
      ? `Sample by sample from ${this.said(view.start)} to ${this.said(view.start + view.decodedValues.length)}; grey: the smallest and the largest of every ${view.envelope.size} samples.`
      : '';
    this.showKey();
    this.draw();
  }

  whole() {
    return [0, Math.max(1, this.view.total - 1)];
  }

  /** What is shown first: ten seconds, or a thousand samples. */
  beginning() {
    const { view } = this, count = Math.round(Math.max(1000, 10 * (view.fs || 0)));
    return view.total <= 1.5 * count ? this.whole() : [view.start, Math.min(view.total - 1, view.start + count)];
  }

  said(t) {
    return this.view.fs ? `${Number((t / this.view.fs).toFixed(3))} s` : `sample ${Math.round(t)}`;
  }

  showKey() {
    const { view } = this, used = view.events ? [...new Set(view.events.kernel)].sort((a, b) => a - b) : [];
    byId('view-key').replaceChildren(
      ...(view.x ? [keyEntry(DATA.names[0], 'original', { width: WIDE }), keyEntry(DATA.names[1], 'reconstruction')]
        : [keyEntry(DATA.single || 'decoded', 'signal')]),
      ...used.slice(0, 16).map((k) => kernelEntry(`w${k + 1}`, k)));
  }

  /** Move to a range of samples, within the signal and not shorter than 16 samples. */
  move(low, high) {
    const last = this.whole()[1], width = Math.max(Math.min(16, last), Math.min(last, high - low));
    const middle = (low + high) / 2, begin = Math.max(0, Math.min(last - width, middle - width / 2));
    this.range = [begin, begin + width];
    this.drawSoon = this.drawSoon || perFrame(() => this.draw());
    this.drawSoon();
  }

  zoom(factor, at = 0.5) {
    const [low, high] = this.range, center = low + at * (high - low), width = (high - low) * factor;
    this.move(center - at * width, center + (1 - at) * width);
  }

  pan(share) {
    const [low, high] = this.range, by = share * (high - low);
    const last = this.whole()[1], kept = Math.max(-low, Math.min(last - high, by));
    this.move(low + kept, high + kept);
  }

  listen() {
    const actions = {
      'zoom-in': () => this.zoom(0.5), 'zoom-out': () => this.zoom(2), earlier: () => this.pan(-0.5),
      later: () => this.pan(0.5), all: () => this.move(...this.whole()),
    };
    for (const [id, action] of Object.entries(actions)) byId(id).addEventListener('click', action);
    const keys = {
      ArrowLeft: () => this.pan(-0.2), ArrowRight: () => this.pan(0.2), PageUp: () => this.pan(-1), PageDown: () => this.pan(1),
      '+': () => this.zoom(0.5), '=': () => this.zoom(0.5), '-': () => this.zoom(2), 0: actions.all,
      Home: () => this.pan(-1e9), End: () => this.pan(1e9),
    };
    this.element.addEventListener('keydown', (event) => {
      if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
      keys[event.key]();
      event.preventDefault();
    });
    this.element.addEventListener('wheel', (event) => {
      if (document.activeElement !== this.element && !event.ctrlKey) return;
      event.preventDefault();
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.pan(Math.sign(event.deltaX) * 0.1);
      else this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.shareOf(event));
    }, { passive: false });
    this.element.addEventListener('pointerdown', (event) => {
      if (event.button > 0) return;
      this.element.setPointerCapture(event.pointerId);
      this.grabbed = event.clientX;
    });
    this.element.addEventListener('pointermove', (event) => {
      if (this.grabbed === undefined || !this.frame) return;
      this.pan((this.grabbed - event.clientX) / (this.frame.box.right - this.frame.box.left));
      this.grabbed = event.clientX;
    });
    for (const name of ['pointerup', 'pointercancel']) {
      this.element.addEventListener(name, () => {
        this.grabbed = undefined;
      });
    }
    for (const id of ['events-table', 'beats-table', 'samples-table']) byId(id).addEventListener('toggle', () => this.showTables());
  }

  shareOf(event) {
    const { left } = this.element.getBoundingClientRect(), { box } = this.frame;
    return Math.max(0, Math.min(1, (event.clientX - left - box.left) / (box.right - box.left)));
  }

  /** Samples of the part that is known one by one, within the range. */
  within(values) {
    const first = Math.max(0, Math.floor(this.range[0]) - this.view.start);
    return values.subarray(first, Math.max(first, Math.ceil(this.range[1]) + 1 - this.view.start));
  }

  draw() {
    const { view, step, range } = this, x = range.map((t) => t * step), { start } = view;
    const xLabel = view.fs ? 'time (s)' : 'sample', options = { start, step }, layers = [], shown = [];
    if (view.envelope) {
      const { size, low, high, before, after } = view.envelope, first = Math.floor(range[0] / size), last = Math.ceil(range[1] / size) + 1;
      for (const [begin, lows, highs] of [[0, low.subarray(0, before), high.subarray(0, before)], [after, low.subarray(before), high.subarray(before)]]) {
        for (const side of [lows, highs]) shown.push(side.subarray(Math.max(0, first - begin), Math.max(0, last - begin)));
        layers.push(band(lows, highs, 'envelope', { start: begin, step: step * size }));
      }
    }
    shown.push(this.within(view.decodedValues));
    if (view.x) {
      shown.push(this.within(view.x));
      layers.push(line(view.x, 'original', { ...options, width: WIDE }));
    }
    layers.push(line(view.decodedValues, view.x ? 'reconstruction' : 'signal', { ...options, width: 1.3 }));
    if (this.beats) layers.push(flags(this.beats.position, 'accent', { step }));
    const below = ['view-error', 'view-events', 'view-rate'].filter((id) => !byId(id).hidden), labelled = (id) => (below.at(-1) === id ? xLabel : '');
    this.frame = draw(byId('view-signal'), { x, y: rangeOf(shown), left: ALIGNED, xLabel: below.length ? '' : xLabel, yLabel: view.scale, layers });
    if (view.error) {
      draw(byId('view-error'), { x, left: ALIGNED, y: rangeOf([this.within(view.error), [0]]), xLabel: labelled('view-error'),
        yLabel: `error x̂ − x ${view.scale ? `(${view.scale})` : ''}`, layers: [baseline(), line(view.error, 'error', { ...options, width: 1 })] });
    }
    const events = this.eventsShown();
    if (view.events) this.drawEvents(events, x, labelled('view-events'));
    if (this.beats) this.drawRate(x, xLabel);
    byId('range').textContent = `${this.said(range[0])} to ${this.said(range[1])} of ${this.said(view.total)}`;
    this.describe(events.length);
  }

  describe(events) {
    const { view } = this, where = byId('range').textContent, counted = view.events ? `, ${events} events` : '';
    byId('view-signal').setAttribute('aria-label', `${view.label}: signal, ${where}${counted}`);
    byId('view-error').setAttribute('aria-label', 'Error, decoded less original');
    byId('view-events').setAttribute('aria-label', `${events} events; the table below lists them`);
    byId('viewer').setAttribute('aria-label', `${view.label}, ${where}`);
    say(`${where}${counted}`);
    this.showTables();
  }

  /** Kernel k as it is drawn: its samples w, how many of them lie before an event's position, and the largest. */
  kernel(k) {
    const kernel = this.kernels[k], channel = this.view.channel || 0;
    if (!kernel.values) {
      kernel.values = kernel.channels.map((text) => numbers(text));
      kernel.summits = kernel.values.map((w) => w.reduce((top, v) => (Math.abs(v) > Math.abs(top) ? v : top), 0));
    }
    return { w: kernel.values[channel], before: kernel.before, summit: kernel.summits[channel] };
  }

  /** Numbers of the events whose position is in the range, in the order of their positions. */
  eventsShown() {
    const { events } = this.view, [low, high] = this.range;
    if (!events) return [];
    const { position } = events;
    return [...position.keys()].filter((e) => position[e] >= low && position[e] <= high).sort((a, b) => position[a] - position[b]);
  }

  /** Draw each event's kernel with a dot at its position; of very many events a line each, as high as the kernel. */
  drawEvents(shown, x, xLabel) {
    const { view, step } = this, { kernel, position, amplitude } = view.events, many = shown.length > MOST_SHAPES;
    const layers = [baseline()], heights = [new Float32Array(1)], found = new Map(); // by kernel
    for (const e of shown) {
      const { w, before, summit } = this.kernel(kernel[e]);
      if (!found.has(kernel[e])) found.set(kernel[e], { positions: [], values: [] });
      found.get(kernel[e]).positions.push(position[e]);
      found.get(kernel[e]).values.push(amplitude[e] * (many ? summit : w[before]));
      if (many) continue;
      const drawn = w.map((v) => v * amplitude[e]);
      heights.push(drawn);
      layers.push(line(drawn, kernelColour(kernel[e]), { start: position[e] - before, step, width: 1.5, dash: kernelDash(kernel[e]) }));
    }
    for (const [k, { positions, values }] of found) {
      heights.push(values);
      layers.push(many ? stems(positions, values, k, { step, radius: 0 })
        : markers(positions.map((t) => t * step), values, k));
    }
    draw(byId('view-events'), { x, left: ALIGNED, y: rangeOf(heights), xLabel, yLabel: `events, as they are drawn ${view.scale ? `(${view.scale})` : ''}`, layers });
  }

  /** Beats a minute, from the interval before each beat. */
  drawRate(x, xLabel) {
    const { position, rate } = this.beats, { step } = this, [low, high] = this.range;
    const seen = [...position.keys()].filter((b) => position[b] >= low && position[b] <= high && Number.isFinite(rate[b]));
    const times = seen.map((b) => position[b] * step), rates = seen.map((b) => rate[b]);
    draw(byId('view-rate'), { x, left: ALIGNED, y: rangeOf([rates]), xLabel, yLabel: 'heart rate (beats a minute)',
      layers: [curve(times, rates, 'axis', { width: 1 }), ...(seen.length > MOST_SHAPES ? [] : [dots(times, rates, 'accent', 2.5)])] });
    byId('view-rate').setAttribute('aria-label', `Heart rate of ${seen.length} beats; the table below lists them`);
  }

  /** Samples from the event before to each event, in the order of their positions. */
  intervals(view) {
    if (!view.events) return [];
    const { position } = view.events, order = [...position.keys()].sort((a, b) => position[a] - position[b]), found = [];
    order.forEach((e, i) => {
      found[e] = i ? position[e] - position[order[i - 1]] : NaN;
    });
    return found;
  }

  /** The beat at most 150 ms from a position, or -1. */
  beatAt(t) {
    const { position } = this.beats;
    let low = 0, high = position.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (position[middle] < t) low = middle + 1;
      else high = middle;
    }
    const near = [low - 1, low].filter((b) => b >= 0 && b < position.length && Math.abs(position[b] - t) * this.step <= 0.15);
    return near.length ? near.reduce((a, b) => (Math.abs(position[a] - t) <= Math.abs(position[b] - t) ? a : b)) : -1;
  }

  /** The root mean square of the error where an event draws. */
  errorOf(e) {
    const { kernel, position } = this.view.events, { w, before } = this.kernel(kernel[e]), begin = position[e] - before - this.view.start;
    const part = this.view.error.subarray(Math.max(0, begin), Math.max(0, begin + w.length));
    return Math.sqrt(part.reduce((sum, v) => sum + v * v, 0) / part.length);
  }

  /** One row for each event in the range, with its unit, and its heart rate if it lies at a beat. */
  eventRows(timed) {
    const { view, step, beats } = this, { kernel, position, amplitude } = view.events;
    return this.eventsShown().slice(0, MOST_ROWS).map((e) => {
      const beat = beats ? this.beatAt(position[e]) : -1;
      return [`w${kernel[e] + 1}`, ...timed(position[e]), amplitude[e], ...(view.fs ? [view.interval[e] * step] : []),
        ...(view.error ? [this.errorOf(e)] : []), ...(beats ? [beat < 0 ? '–' : beat + 1, beat < 0 ? NaN : beats.rate[beat]] : [])];
    });
  }

  showTables() {
    const { view, step } = this, rate = view.fs ? ['time, s'] : [], unit = view.scale ? `, ${view.scale}` : '';
    const timed = (t) => [Math.round(t), ...(view.fs ? [(t * step).toFixed(4)] : [])];
    const fill = (id, caption, head, rows) => {
      if (byId(id).open) byId(id).replaceChildren(byId(id).querySelector('summary'), table(caption, head, rows, MOST_ROWS));
    };
    if (view.events && byId('events-table').open) {
      const head = ['kernel', 'position', ...rate, `amplitude${unit}`, ...(view.fs ? ['interval, s'] : []),
        ...(view.error ? [`error there${unit}`] : []), ...(this.beats ? ['beat', 'beats a minute'] : [])];
      fill('events-table', `Events, at most ${MOST_ROWS}`, head, this.eventRows(timed));
    }
    if (this.beats && byId('beats-table').open) {
      const { position, rate: rates, residual } = this.beats, [low, high] = this.range;
      const seen = [...position.keys()].filter((b) => position[b] >= low && position[b] <= high);
      fill('beats-table', 'Beats', ['beat', 'position', 'time, s', 'beats a minute', 'unlike the median beat'],
        seen.map((b) => [b + 1, ...timed(position[b]), rates[b], residual[b]]));
    }
    if (byId('samples-table').open) {
      const first = Math.max(0, Math.floor(this.range[0]) - view.start), rows = [];
      const last = Math.min(view.decodedValues.length, Math.ceil(this.range[1]) + 1 - view.start);
      for (let t = first; t < Math.min(last, first + MOST_ROWS); t++) {
        rows.push([view.start + t, ...(view.fs ? [((view.start + t) * step).toFixed(4)] : []), view.decodedValues[t],
          ...(view.x ? [view.x[t], view.error[t]] : [])]);
      }
      fill('samples-table', 'Samples, at most 300', ['sample', ...rate, `decoded${unit}`, ...(view.x ? [`original${unit}`, `error${unit}`] : [])], rows);
    }
  }
}
