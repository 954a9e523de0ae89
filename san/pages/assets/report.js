// Which parts a report has, from its data.
'use strict';

const redraws = [];
let planeFrame = null, recordsFrame = null; // of the plots whose dots are pointed at

function reveal(id) {
  byId(id).hidden = false;
}

/** Draw now, and again when the page changes its size or its colours. */
function keep(action) {
  redraws.push(action);
}

/** The style of a run: that of its place, or the one that it has wherever it is shown. */
function styleOf(of, i) {
  return of.style === undefined ? i : of.style;
}

byId('title').textContent = DATA.title;
byId('summary').append(...DATA.summary.map((text) => make('p', {}, text)));
byId('tiles').append(...DATA.tiles.map(([name, value]) => make('div', {}, make('dt', {}, name), make('dd', {}, value))));

function showViews() {
  reveal('views');
  byId('views-title').textContent = DATA.viewsTitle;
  DATA.views.forEach((view, i) => byId('view').append(make('option', { value: i }, view.label)));
  byId('view-label').hidden = DATA.views.length < 2;
  const viewer = new Viewer(DATA.views, DATA.kernels);
  byId('view').addEventListener('change', (event) => viewer.show(Number(event.target.value)));
  keep(() => viewer.draw());
}

function showKernels() {
  reveal('kernels');
  byId('kernels-note').textContent = DATA.kernelsNote;
  DATA.kernels.forEach((kernel, k) => {
    const style = kernel.style === undefined ? k : kernel.style, name = kernel.name || `w${k + 1}`;
    const canvas = make('canvas', { role: 'img', 'aria-label': `Kernel ${name}, ${kernel.note}` });
    byId('kernels-list').append(make('figure', { className: kernel.image ? 'small' : '' }, canvas, make('figcaption', {}, make('ul', { className: 'key' }, kernelEntry(`${name}: ${kernel.note}`, style)))));
    const values = kernel.image ? [numbers(kernel.image)] : kernel.channels.map((text) => numbers(text)), heights = kernel.heights || values.map(() => 1);
    const drawn = values.map((w, c) => w.map((v) => v * heights[c])), step = DATA.kernelsFs ? 1000 / DATA.kernelsFs : 1;
    kernel.shown = values;
    const largest = Math.max(...values[0].map(Math.abs));
    keep(() => (kernel.image ? image(canvas, values[0], kernel.rows, kernel.columns, largest)
      : draw(canvas, { x: [0, step * Math.max(1, values[0].length - 1)], y: rangeOf([...drawn, [0]]), xLabel: DATA.kernelsFs ? 'ms' : 'samples', yLabel: kernel.unit || 'weight', layers: [baseline(), ...drawn.map((w) => line(w, kernelColour(style), { step, width: 1.8, dash: kernelDash(style) }))] })));
  });
  byId('kernels-table').addEventListener('toggle', () => {
    const rows = DATA.kernels.map((kernel, k) => [kernel.name || `w${k + 1}`, Array.from(kernel.shown[0], (v) => short(v)).join(', ')]);
    byId('kernels-table').replaceChildren(byId('kernels-table').querySelector('summary'), table('Kernels, first channel', ['kernel', 'samples'], rows));
  });
}

function showImages() {
  reveal('images');
  DATA.images.forEach((each, i) => {
    const parts = ['signal', 'decoded', 'events'].map((name) => [name, numbers(each[name])]);
    const canvases = parts.map(([name]) => make('canvas', { role: 'img', 'aria-label': `Image ${i + 1}: ${name}` }));
    byId('images-list').append(make('figure', { className: 'images' }, make('div', { className: 'triple' }, ...canvases), make('figcaption', {}, `${i + 1}: ${each.note}`)));
    keep(() => parts.forEach(([, values], j) => image(canvases[j], values, each.rows, each.columns, Math.max(...values.map(Math.abs)))));
  });
}

function showPlane() {
  reveal('plane');
  byId('plane-title').textContent = DATA.planeTitle || 'The plane of φ: every model of the sweep';
  const all = DATA.plane.flatMap((of, i) => [
    ...of.points.map(([ratio, loss, phi, m]) => ({ i, style: styleOf(of, i), ratio, loss, phi, m, split: 'validation' })),
    ...(of.test ? [{ i, style: styleOf(of, i), ratio: of.test[0], loss: of.test[1], phi: of.test[2], m: of.test[3], split: 'test' }] : []),
  ]);
  const reach = (name) => 1.12 * Math.max(0.25, ...all.map((p) => p[name]).filter(Number.isFinite));
  const xMax = Math.min(3, reach('ratio')), yMax = Math.min(2, reach('loss'));
  const name = (p) => `${DATA.plane[p.i].name}, m = ${p.m}, ${p.split}: φ ${short(p.phi)}, CR⁻¹ ${short(p.ratio)}, loss ${short(p.loss)}`;
  byId('plane-key').append(...DATA.plane.map((of, i) => kernelEntry(of.name, styleOf(of, i))));
  const best = all.filter((p) => p.split === 'test');
  let near = null;
  const paint = () => {
    planeFrame = draw(byId('plane-plot'), { x: [0, xMax], y: [0, yMax], xLabel: 'CR⁻¹: numbers of the description for each sample', yLabel: 'normalised loss', layers: [
      arcs(arcRadii(xMax, yMax)),
      ...DATA.plane.map((of) => curve(of.points.map((p) => p[0]), of.points.map((p) => p[1]), 'grid')),
      ...DATA.plane.map((of, i) => markers(of.points.map((p) => p[0]), of.points.map((p) => p[1]), styleOf(of, i))),
      ...best.flatMap((p) => [markers([p.ratio], [p.loss], p.style, 4), ring(p.ratio, p.loss, kernelColour(p.style), 8), ...(best.length < 4 ? [label(p.ratio, p.loss, `m = ${p.m}`)] : [])]),
      ...(near ? [ring(near.ratio, near.loss, 'accent', 10)] : [])] });
  };
  const rest = `A dot is a model on the validation split, joined in the order of m${best.length ? '; the ringed one is the chosen model on the test split' : ''}. Point at one to read it.`;
  byId('plane-note').textContent = rest;
  byId('plane-plot').setAttribute('aria-label', `${all.length} models. ${best.map(name).join('; ')}`);
  byId('plane-plot').addEventListener('pointermove', (event) => {
    const box = byId('plane-plot').getBoundingClientRect();
    const far = (p) => Math.hypot(planeFrame.toX(p.ratio) - event.clientX + box.left, planeFrame.toY(p.loss) - event.clientY + box.top);
    const nearest = all.reduce((a, b) => (far(a) <= far(b) ? a : b)), found = far(nearest) < 30 ? nearest : null;
    if (found === near) return;
    near = found;
    byId('plane-note').textContent = near ? name(near) : rest;
    paint();
  });
  byId('plane-table').append(table('Models', ['data', 'm', 'split', 'CR⁻¹', 'loss', 'φ'], all.map((p) => [DATA.plane[p.i].name, p.m, p.split, p.ratio, p.loss, p.phi]), 2000));
  keep(paint);
}

function showSweep() {
  reveal('sweep');
  const sizes = DATA.sweeps.map((of) => of.sizes), low = Math.min(...sizes.flat()), high = Math.max(...sizes.flat()), room = Math.max(0.5, 0.03 * (high - low));
  byId('sweep-key').append(...DATA.sweeps.map((of, i) => kernelEntry(`${of.name}${of.chosen ? `, chosen m = ${of.chosen}` : ''}`, styleOf(of, i))));
  byId('sweep-plot').setAttribute('aria-label', 'Validation φ of each kernel size; the table of the models lists them');
  keep(() => draw(byId('sweep-plot'), { x: [low - room, high + room], whole: true, y: rangeOf(DATA.sweeps.map((of) => of.phi)), xLabel: 'kernel size m (samples)', yLabel: 'mean φ', layers: DATA.sweeps.flatMap((of, i) => [
    curve(of.sizes, of.phi, kernelColour(styleOf(of, i)), { dash: kernelDash(styleOf(of, i)) }), markers(of.sizes, of.phi, styleOf(of, i), 2.5),
    ...(of.chosen ? [ring(of.chosen, of.phi[of.sizes.indexOf(of.chosen)], kernelColour(styleOf(of, i)), 7)] : [])]) }));
}

function showHistory() {
  reveal('history');
  const last = Math.max(...DATA.histories.flatMap((of) => of.epochs));
  byId('history-key').append(...DATA.histories.map((of, i) => kernelEntry(`${of.name}${of.chosen ? `, chosen after epoch ${of.chosen}` : ''}`, styleOf(of, i))));
  for (const [name, yLabel] of [['phi', 'φ on validation'], ['loss', 'mean absolute error in training']]) {
    byId(`history-${name}`).setAttribute('aria-label', `${yLabel} against the epoch; the table lists it`);
    keep(() => draw(byId(`history-${name}`), { x: [0.5, last + 0.5], whole: true, y: rangeOf(DATA.histories.map((of) => of[name])), xLabel: 'epoch', yLabel, layers: DATA.histories.flatMap((of, i) => [
      curve(of.epochs, of[name], kernelColour(styleOf(of, i)), { dash: kernelDash(styleOf(of, i)) }), markers(of.epochs, of[name], styleOf(of, i), 2.5),
      ...(of.chosen ? [ring(of.chosen, of[name][of.epochs.indexOf(of.chosen)], kernelColour(styleOf(of, i)), 7)] : [])]) }));
  }
  const rows = DATA.histories.flatMap((of) => of.epochs.map((epoch, i) => [of.name, epoch, of.phi[i], of.loss[i]]));
  byId('history-table').append(table('Training', ['model', 'epoch', 'φ on validation', 'mean absolute error'], rows, 2000));
}

/** The records of an archive: bits per sample against the error, or in their order where nothing is lost. */
function showRecords() {
  reveal('records');
  const { names, bits, prdn, seconds } = DATA.records, lossy = prdn.some((v) => v > 0);
  const xs = bits.map((v) => Math.log10(Math.max(v, 1e-6))), ys = lossy ? prdn : names.map((_, i) => names.length - i);
  const low = Math.min(...xs) - 0.1, high = Math.max(...xs) + 0.1, [bottom, top] = rangeOf([ys, [0]]);
  const said = (i) => `${names[i]}: ${short(bits[i])} bits per sample, PRDN ${short(prdn[i])} %, coded in ${short(seconds[i])} s`;
  const rest = 'A dot is a record. Point at one to read it; the tables list the worst first.';
  let near = -1;
  const paint = () => {
    recordsFrame = draw(byId('records-plot'), { x: [low, high], y: [Math.min(0, bottom), top], xTicks: powers(low, high), xLabel: 'bits per sample, logarithmic',
      yLabel: lossy ? 'PRDN (%)' : 'records, the most bits on top', layers: [dots(xs, ys, 'accent', 3.5), ...(near < 0 ? [] : [ring(xs[near], ys[near], 'text', 9)])] });
  };
  byId('records-note').textContent = rest;
  byId('records-plot').setAttribute('aria-label', `${names.length} records: bits per sample${lossy ? ' against the error' : ''}; the tables list them`);
  byId('records-plot').addEventListener('pointermove', (event) => {
    const box = byId('records-plot').getBoundingClientRect();
    const far = (i) => (ys[i] === null ? Infinity : Math.hypot(recordsFrame.toX(xs[i]) - event.clientX + box.left, recordsFrame.toY(ys[i]) - event.clientY + box.top));
    const nearest = xs.reduce((best, _, i) => (far(i) < far(best) ? i : best), 0), found = far(nearest) < 30 ? nearest : -1;
    if (found === near) return;
    near = found;
    byId('records-note').textContent = near < 0 ? rest : said(near);
    paint();
  });
  keep(paint);
}

function showBars() {
  reveal('bars');
  byId('bars-title').textContent = DATA.barsTitle || 'Where the bytes went';
  const total = DATA.bars.reduce((sum, [, size]) => sum + size, 0), most = Math.max(...DATA.bars.map(([, size]) => size));
  for (const [name, size] of DATA.bars) {
    const canvas = make('canvas', { 'aria-hidden': 'true' });
    byId('bars-list').append(make('div', { className: 'bar' }, make('span', {}, name), canvas, make('span', {}, `${short(size)} ${size === 1 ? 'byte' : 'bytes'}, ${((100 * size) / total).toFixed(1)} %`)));
    keep(() => draw(canvas, { x: [0, most], y: [0, 1], frameless: true, layers: [({ ctx, box, toX }) => {
      ctx.fillStyle = colour('accent');
      ctx.fillRect(box.left, box.top, Math.max(2, toX(size) - box.left), box.bottom - box.top);
    }] }));
  }
}

/** Marks of 1, 2 and 5 times the powers of ten between two logarithms. */
function powers(low, high) {
  const found = [];
  for (let p = Math.floor(low); p <= high; p++) {
    for (const digit of [1, 2, 5]) if (p + Math.log10(digit) >= low && p + Math.log10(digit) <= high) found.push(p + Math.log10(digit));
  }
  return { values: found, text: (v) => short(10 ** v, 2) };
}

function showCurve() {
  reveal('curve');
  const { points, prdns, own, unit, words } = DATA.curve, inUnit = unit ? `, ${unit}` : '';
  byId('curve-words').textContent = words;
  byId('curve-table').append(table('Rate and distortion', ['target', 'PRDN, %', `largest error${inUnit}`, 'bits per sample', 'compression ratio'],
    [...points, ...(own ? [own] : [])].map(([name, ...values]) => [name, ...values.map((v) => short(v, 3))])));
  const plot = (id, some, column, xLabel) => {
    const known = [...some, ...(own ? [own] : [])].filter((p) => p[column] > 0);
    byId(id).parentElement.hidden = known.length === 0;
    if (known.length === 0) return;
    const at = (p) => Math.log10(p[column]), sorted = some.filter((p) => p[column] > 0).sort((a, b) => a[column] - b[column]), bits = sorted.map((p) => p[3]);
    const low = Math.min(...known.map(at)) - 0.1, high = Math.max(...known.map(at)) + 0.1;
    byId(id).setAttribute('aria-label', `Bits per sample against ${xLabel}; the table lists them`);
    keep(() => draw(byId(id), { x: [low, high], xTicks: powers(low, high), y: [0, Math.max(...known.map((p) => p[3])) * 1.12], xLabel, yLabel: 'bits per sample', layers: [
      curve(sorted.map(at), bits, 'accent'), dots(sorted.map(at), bits, 'accent', 4), ...(own && own[column] > 0 ? [ring(at(own), own[3], 'text', 8)] : [])] }));
  };
  plot('curve-prdn', points.slice(0, prdns), 1, 'PRDN (%), logarithmic');
  plot('curve-bound', points.slice(prdns), 2, `largest error${unit ? ` (${unit})` : ''}, logarithmic`);
}

if (DATA.views.length) showViews();
if (DATA.images.length) showImages();
if (DATA.figure) {
  reveal('figure');
  byId('figure').append(make('img', { src: `data:image/png;base64,${DATA.figure}`, alt: 'A test signal, kernels, similarity, activations and reconstruction, as drawn when the run ended' }));
}
if (DATA.records.names && DATA.records.names.length) showRecords();
if (DATA.kernels.length) showKernels();
if (DATA.plane.length) showPlane();
if (DATA.sweeps.length) showSweep();
if (DATA.histories.length) showHistory();
if (DATA.bars.length) showBars();
if (DATA.curve) showCurve();
if (DATA.words.length) {
  reveal('words');
  byId('words-list').append(...DATA.words.flatMap(([name, text]) => [make('dt', {}, name), make('dd', {}, text)]));
}
for (const [caption, head, rows] of DATA.tables) byId('tables').append(make('section', { className: head.length > 6 ? 'wide' : '' }, table(caption, head, rows)));
if (DATA.tablesFirst) byId('views').before(byId('tables'));
const redraw = perFrame(() => redraws.forEach((action) => action()));
redraw();
redrawWith(redraw);
