// What a user can change on the exploring page, and how its parts answer.
'use strict';

const MOST_KERNELS = 6;
const TRIED = 24; // segments of the signal, for a new kernel
const ORIGINAL = numbers(DATA.signal);
const PARAMETERS = {
  top_k_absolutes: ['k: events of each kernel', 1],
  extrema_pool: ['Pool size, samples', 1],
  extrema: ['Minimum distance, samples', 0],
};

const state = {
  x: Float32Array.from(ORIGINAL),
  kernels: DATA.kernels.map((text) => numbers(text)),
  activation: DATA.activation,
  parameter: DATA.parameter,
  follow: DATA.parameter === null,
  decoder: DATA.decoder,
  compete: DATA.compete,
  result: null,
  trail: [],
};

const learning = { on: false, steps: 0, adam: null, best: null };
const N = ORIGINAL.length;
const STEP = DATA.fs ? 1 / DATA.fs : 1;
const LONGEST = Math.min(N, 2000);
const UNIT = DATA.unit ? ` ${DATA.unit}` : '';

function sparsity(w) {
  return state.follow ? sparsityOf(state.activation, w.length, N, DATA.tolerance) : state.parameter;
}

function parameters() {
  return state.kernels.map(sparsity);
}

/** Compute everything again and show it. */
function update() {
  const { x, kernels, activation, decoder } = state;
  state.result = compute(x, kernels, activation, parameters(), decoder, state.compete);
  const { phi, ratio, loss, events } = state.result;
  state.trail = [...state.trail.slice(-60), [ratio, loss]];
  byId('phi').textContent = phi.toFixed(3);
  byId('ratio').textContent = ratio.toFixed(3);
  byId('loss').textContent = loss.toFixed(3);
  byId('events').textContent = short(events);
  say(`φ ${phi.toFixed(3)}, CR⁻¹ ${ratio.toFixed(3)}, normalised loss ${loss.toFixed(3)}, ${events} events`);
  showSparsity();
  drawAll();
}

const updateSoon = perFrame(update);

function updateByHand() {
  stopLearning();
  updateSoon();
}

const xRange = [DATA.start * STEP, (DATA.start + N - 1) * STEP];
const xLabel = DATA.fs ? 'time (s)' : 'sample';

const signalEditor = new Editor(byId('signal'), {
  values: () => state.x,
  label: () => 'Signal,',
  told: (v) => `${short(v * DATA.deviation + DATA.mean)}${UNIT}`,
  start: DATA.start,
  step: STEP,
  changed: updateByHand,
  paint: (canvas, range, marks) => draw(canvas, {
    x: xRange,
    y: range || rangeOf([state.x, state.result.xHat]),
    left: ALIGNED,
    yLabel: DATA.unit,
    unit: { by: DATA.deviation, plus: DATA.mean },
    layers: [baseline(), line(state.x, 'original', { start: DATA.start, step: STEP, width: WIDE }),
      line(state.result.xHat, 'reconstruction', { start: DATA.start, step: STEP, width: 1.3 }), ...marks],
  }),
});

function drawAll() {
  const { similarities, positions, values, events } = state.result;
  const options = { start: DATA.start, step: STEP };
  signalEditor.draw();
  const error = state.result.xHat.map((v, t) => v - state.x[t]);
  draw(byId('error'), {
    x: xRange, y: rangeOf([error, [0]]), yLabel: `error x̂ − x${DATA.unit ? ` (${DATA.unit})` : ''}`, xLabel, left: ALIGNED,
    unit: { by: DATA.deviation, plus: 0 }, layers: [baseline(), line(error, 'error', { ...options, width: 1 })],
  });
  draw(byId('similarity'), {
    x: xRange, y: rangeOf(similarities), yLabel: 'similarity', left: ALIGNED,
    layers: [baseline(), ...similarities.map((s, i) => line(s, kernelColour(i), { ...options, dash: kernelDash(i) }))],
  });
  draw(byId('activations'), {
    x: xRange, y: rangeOf([[0], ...values]), yLabel: 'events', xLabel, left: ALIGNED,
    layers: [baseline(), ...positions.map((of, i) => stems(of, values[i], i,
      { ...options, radius: events < 400 ? 3 : 0 }))],
  });
  byId('error').setAttribute('aria-label', `Error, reconstruction less signal: at most ${short(error.reduce((top, v) => Math.max(top, Math.abs(v)), 0) * DATA.deviation)}${UNIT}`);
  byId('similarity').setAttribute('aria-label', `Similarity of the signal to ${similarities.length} kernels`);
  byId('activations').setAttribute('aria-label', `${events} events; the table below lists them`);
  drawPlane();
  for (const editor of kernelEditors) editor.draw();
  if (byId('table').open) showTable();
}

function drawPlane() {
  const { ratio, loss, phi } = state.result, xMax = Math.max(1, ratio * 1.15), yMax = Math.max(1, loss * 1.15);
  draw(byId('plane'), {
    x: [0, xMax], y: [0, yMax], xLabel: 'CR⁻¹', yLabel: 'loss',
    layers: [arcs(arcRadii(xMax, yMax)),
      dots(state.trail.map((p) => p[0]), state.trail.map((p) => p[1]), 'axis', 2),
      dots([ratio], [loss], 'accent', 5)],
  });
  byId('plane').setAttribute('aria-label', `φ is ${phi.toFixed(3)}: CR⁻¹ ${ratio.toFixed(3)}, loss ${loss.toFixed(3)}`);
}

function showTable() {
  const heights = state.kernels.map((w) => DATA.deviation * w.reduce((top, v) => (Math.abs(v) > Math.abs(top) ? v : top), 0));
  const rows = state.result.positions.flatMap((of, i) => of.map((t, e) => [
    `w${i + 1}`, DATA.start + t, ...(DATA.fs ? [((DATA.start + t) * STEP).toFixed(4)] : []), state.result.values[i][e], state.result.values[i][e] * heights[i]]));
  const head = ['kernel', 'position', ...(DATA.fs ? ['time, s'] : []), 'amplitude', `height${DATA.unit ? `, ${DATA.unit}` : ''}`];
  byId('table').replaceChildren(byId('table').querySelector('summary'), table('Events', head, rows, 300));
}

// Settings

function showSparsity() {
  const [name, least] = PARAMETERS[state.activation] || [];
  byId('sparsity').hidden = !name;
  byId('compete-row').hidden = state.activation !== 'extrema';
  byId('compete').checked = state.compete;
  if (!name) return;
  const first = parameters()[0], most = state.activation === 'top_k_absolutes' ? N : LONGEST;
  byId('parameter-name').textContent = name;
  for (const id of ['parameter', 'parameter-range']) {
    const input = byId(id);
    input.min = least;
    input.max = most;
    if (document.activeElement !== input || Number(input.value) !== first) input.value = first;
    input.disabled = state.follow;
  }
  byId('parameter-range').setAttribute('aria-label', name);
  byId('parameter-range').max = Math.min(most, Math.max(300, 2 * first));
  byId('follow').checked = state.follow;
}

function setParameter(value) {
  stopLearning();
  const least = (PARAMETERS[state.activation] || ['', 0])[1];
  if (!Number.isFinite(value)) return;
  state.parameter = Math.max(least, Math.min(N, Math.round(value)));
  update();
}

for (const [name, text] of Object.entries(ACTIVATIONS)) {
  byId('activation').append(make('option', { value: name }, text));
}
byId('activation').value = state.activation;
byId('decoder').value = state.decoder;
byId('activation').addEventListener('change', (event) => {
  stopLearning();
  state.activation = event.target.value;
  state.follow = true; // the number of another activation means something else
  update();
});
byId('decoder').addEventListener('change', (event) => {
  stopLearning();
  state.decoder = event.target.value;
  update();
});
for (const id of ['parameter', 'parameter-range']) {
  byId(id).addEventListener('input', (event) => {
    if (event.target.value !== '') setParameter(Number(event.target.value));
  });
}
byId('parameter').addEventListener('change', () => showSparsity());
byId('follow').addEventListener('change', (event) => {
  stopLearning();
  if (!event.target.checked) [state.parameter] = parameters().length ? parameters() : [1];
  state.follow = event.target.checked;
  update();
});
byId('compete').addEventListener('change', (event) => {
  stopLearning();
  state.compete = event.target.checked;
  update();
});
byId('pen').addEventListener('input', showPen);

function showPen() {
  const wide = Number(byId('pen').value);
  byId('pen-text').textContent = wide === 1 ? '1 sample' : `${wide} samples`;
}

byId('reset').addEventListener('click', () => {
  stopLearning();
  state.x.set(ORIGINAL);
  update();
});
byId('blank').addEventListener('click', () => {
  stopLearning();
  state.x.fill(0);
  update();
});
byId('table').addEventListener('toggle', () => byId('table').open && showTable());

// Kernels

let kernelEditors = [];

function kernelCard(i) {
  const canvas = make('canvas', { tabIndex: 0, role: 'slider', 'aria-label': `Kernel ${i + 1}, editable` });
  const size = make('input', { type: 'number', min: 1, max: LONGEST, value: state.kernels[i].length, id: `size-${i}` });
  const button = (text, action) => {
    const made = make('button', { type: 'button', 'aria-label': `${text}, kernel ${i + 1}` }, text);
    made.addEventListener('click', () => {
      action();
      update();
    });
    return made;
  };
  const replace = (w) => {
    stopLearning();
    state.kernels[i] = w;
  };
  size.addEventListener('change', () => {
    const m = Math.round(Number(size.value));
    if (m >= 1 && m <= LONGEST) replace(resample(state.kernels[i], m));
    size.value = state.kernels[i].length;
    if (DATA.fs) length.textContent = `samples, ${short(1000 * STEP * state.kernels[i].length)} ms`;
    update();
  });
  const editor = new Editor(canvas, {
    values: () => state.kernels[i],
    label: () => `Kernel ${i + 1},`,
    changed: updateByHand,
    paint: (target, range, marks) => {
      const w = state.kernels[i];
      return draw(target, {
        x: [0, Math.max(1, w.length - 1)], y: range || rangeOf([w, [-0.01, 0.01]], 0.3), yLabel: '', xLabel: '',
        layers: [baseline(), line(w, kernelColour(i), { width: 2, dash: kernelDash(i) }), ...(w.length < 40 ? [markers([...w.keys()], w, i, 2.5)] : []), ...marks],
      });
    },
  });
  const name = make('ul', { className: 'key grow' }, kernelEntry(`w${i + 1}`, i));
  const length = make('label', { for: `size-${i}` }, DATA.fs ? `samples, ${short(1000 * STEP * state.kernels[i].length)} ms` : 'samples');
  const remove = button('Remove', () => {
    state.kernels.splice(i, 1);
    showKernels();
    byId('add').focus();
  });
  remove.disabled = state.kernels.length === 1;
  return {
    editor,
    card: make('div', { className: 'card kernel', role: 'group', 'aria-label': `Kernel ${i + 1}` },
      make('div', { className: 'row' }, name, size, length), canvas,
      make('div', { className: 'row' },
        button('From the signal', () => replace(fromSignal(state.kernels[i].length, i))),
        button('Unit norm', () => replace(unitNorm(state.kernels[i]))),
        button('Zero', () => replace(new Float32Array(state.kernels[i].length))), remove)),
  };
}

/** Of segments around the largest extrema of what the other kernels leave, the one of lowest φ. */
function fromSignal(m, but) {
  const { x, activation, decoder, compete } = state, others = state.kernels.filter((_, i) => i !== but);
  const xHat = others.length ? compute(x, others, activation, others.map(sparsity), decoder, compete).xHat : x.map(() => 0);
  const left = x.map((v, t) => v - xHat[t]);
  const inside = extrema(left, m >> 2).filter((t) => t >= (m - 1) >> 1 && t < N - (m >> 1));
  const places = strongestFirst(left, inside).slice(0, TRIED);
  let best = segment(x, m, places.length ? places[0] : N >> 1), lowest = Infinity;
  for (const place of places) {
    const kernels = [...others, segment(x, m, place)];
    const { phi } = compute(x, kernels, activation, kernels.map(sparsity), decoder, compete);
    if (phi < lowest) [best, lowest] = [kernels[others.length], phi];
  }
  return best;
}

function showKernels() {
  stopLearning();
  const cards = state.kernels.map((_, i) => kernelCard(i));
  kernelEditors = cards.map(({ editor }) => editor);
  byId('kernels').replaceChildren(...cards.map(({ card }) => card));
  byId('add').disabled = state.kernels.length >= MOST_KERNELS;
  byId('similarity-key').replaceChildren(...state.kernels.map((_, i) => kernelEntry(`s${i + 1}, α${i + 1}`, i)));
}

byId('add').addEventListener('click', () => {
  const m = state.kernels.length ? state.kernels[state.kernels.length - 1].length : DATA.kernelSize;
  state.kernels.push(fromSignal(m, -1));
  showKernels();
  update();
});

// Learning

const AT_ONCE = matchMedia('(prefers-reduced-motion: reduce)').matches ? 100 : 1; // steps of a frame
const MOST_STEPS = 500;

function learn() {
  if (!learning.on) return;
  for (let i = 0; i < AT_ONCE && learning.steps < MOST_STEPS; i++) {
    learning.steps += 1;
    const result = compute(state.x, state.kernels, state.activation, parameters(), state.decoder, state.compete);
    learning.adam = adamStep(state.kernels, gradient(state.x, state.kernels, result, state.decoder), learning.adam, learning.steps);
  }
  byId('steps').textContent = `${learning.steps} of ${MOST_STEPS} steps`;
  update();
  keepBest();
  if (learning.steps < MOST_STEPS) requestAnimationFrame(learn);
  else stopLearning(true);
}

/** Remember the kernels of the lowest φ, which training takes in the end. */
function keepBest() {
  const { phi } = state.result;
  if (!learning.best || phi < learning.best.phi) learning.best = { phi, kernels: state.kernels.map((w) => w.slice()) };
}

/** Stop, with the kernels as they are, or with those of the lowest φ. */
function stopLearning(withBest = false) {
  if (withBest) learning.best.kernels.forEach((w, i) => state.kernels[i].set(w));
  learning.on = false;
  byId('learn').setAttribute('aria-pressed', 'false');
  if (withBest) update();
}

byId('learn').addEventListener('click', () => {
  if (learning.on) {
    stopLearning(true);
    return;
  }
  Object.assign(learning, { on: true, steps: 0, adam: null, best: null });
  keepBest();
  byId('learn').setAttribute('aria-pressed', 'true');
  requestAnimationFrame(learn);
});

byId('intro').textContent = DATA.intro;
byId('signal-key').append(keyEntry('signal x', 'original', { width: WIDE }), keyEntry('reconstruction x̂', 'reconstruction'), keyEntry('error x̂ − x', 'error'));
while (state.kernels.length < DATA.kernelCount) state.kernels.push(fromSignal(DATA.kernelSize, -1));
showPen();
showKernels();
update();
redrawWith(perFrame(drawAll));
