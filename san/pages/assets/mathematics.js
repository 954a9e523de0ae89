// What a Sparsely Activated Network computes, in float32 and in the order of sums of the Python code.
// Its similarities have the same bits, and so its activations the same positions.
'use strict';

const ACTIVATIONS = {
  identity: 'Identity',
  relu: 'ReLU',
  top_k_absolutes: 'Top-k absolutes',
  extrema_pool: 'Extrema-Pool',
  extrema: 'Extrema',
};

const EVENT_COST = 64; // as in convolution_cpu: a dense pass where a map has many events

/** s[t] = sum over j of w[j] x[t - (m-1)//2 + j], rounded after each product and each sum. */
function similarity(x, w) {
  const n = x.length, m = w.length, before = (m - 1) >> 1;
  const s = new Float32Array(n);
  for (let j = 0; j < m; j++) {
    const weight = w[j], shift = j - before;
    const first = Math.max(0, -shift), last = Math.min(n, n - shift);
    for (let t = first; t < last; t++) s[t] += Math.fround(weight * x[t + shift]);
  }
  return s;
}

/** The positions that an activation keeps, ascending. */
function activate(name, s, parameter) {
  if (name === 'identity') return positionsWhere(s, (v) => v !== 0);
  if (name === 'relu') return positionsWhere(s, (v) => v > 0);
  if (name === 'top_k_absolutes') return topK(s, parameter);
  if (name === 'extrema_pool') return extremaPool(s, parameter);
  return extrema(s, parameter);
}

function positionsWhere(s, isKept) {
  const kept = [];
  for (let t = 0; t < s.length; t++) if (isKept(s[t])) kept.push(t);
  return kept;
}

/** By falling magnitude; of equals the lowest position first. */
function strongestFirst(s, positions) {
  return positions.sort((a, b) => Math.abs(s[b]) - Math.abs(s[a]) || a - b);
}

function topK(s, k) {
  const nonzero = positionsWhere(s, (v) => v !== 0);
  return strongestFirst(s, nonzero).slice(0, k).sort((a, b) => a - b);
}

function extremaPool(s, size) {
  const kept = [];
  for (let begin = 0; begin + size <= s.length; begin += size) {
    let best = begin;
    for (let t = begin + 1; t < begin + size; t++) {
      if (Math.abs(s[t]) > Math.abs(s[best])) best = t;
    }
    if (s[best] !== 0) kept.push(best);
  }
  return kept;
}

/** Peaks above zero (of a plateau the left edge), valleys below it (of a plateau the right one). */
function candidates(s) {
  const found = [];
  for (let t = 0; t < s.length; t++) {
    const rises = t > 0 && s[t] > s[t - 1], willRise = t + 1 < s.length && s[t + 1] > s[t];
    if ((s[t] > 0 && rises && !willRise) || (s[t] < 0 && !rises && willRise)) found.push(t);
  }
  return found;
}

function extrema(s, minDistance) {
  return suppress(s, candidates(s), minDistance);
}

/** Those of some positions that no larger one within reach suppresses. */
function suppress(s, positions, minDistance) {
  const suppressed = new Uint8Array(s.length), kept = [];
  for (const t of strongestFirst(s, positions)) {
    if (suppressed[t]) continue;
    kept.push(t);
    suppressed.fill(1, Math.max(0, t - minDistance), t + minDistance + 1);
  }
  return kept.sort((a, b) => a - b);
}

/** Extrema that suppress those of other kernels too; where two are at one place the larger stays. */
function competingExtrema(similarities, minDistance) {
  const best = new Map(); // of each position: the kernel of its largest candidate
  similarities.forEach((s, i) => {
    for (const t of candidates(s)) {
      if (!best.has(t) || Math.abs(s[t]) > Math.abs(similarities[best.get(t)][t])) best.set(t, i);
    }
  });
  const highest = new Float32Array(similarities.length ? similarities[0].length : 0);
  for (const [t, i] of best) highest[t] = similarities[i][t];
  const kept = suppress(highest, [...best.keys()], minDistance);
  return similarities.map((_, i) => kept.filter((t) => best.get(t) === i));
}

/** Draw the kernel at each event: the transposed convolution, or the paper's correlation. */
function reconstruction(n, positions, values, w, decoder) {
  const m = w.length, paper = decoder === 'paper';
  const drawn = paper ? Float32Array.from(w).reverse() : w;
  const before = paper ? m >> 1 : (m - 1) >> 1;
  const r = new Float32Array(n);
  const dense = positions.length * (m + EVENT_COST) >= n * m;
  const add = (e, j) => {
    const t = positions[e] - before + j;
    if (t >= 0 && t < n) r[t] += Math.fround(values[e] * drawn[j]);
  };
  if (dense) {
    for (let j = 0; j < m; j++) for (let e = 0; e < positions.length; e++) add(e, j);
  } else {
    for (let e = 0; e < positions.length; e++) for (let j = 0; j < m; j++) add(e, j);
  }
  return r;
}

/** The activation's parameter that the paper gives a kernel of m samples. */
function sparsityOf(name, m, n, borderTolerance) {
  if (name === 'top_k_absolutes') return Math.max(1, Math.floor(n / m));
  if (name === 'extrema_pool') return m;
  return Math.max(m - borderTolerance, 1);
}

/**
 * All that a network makes of a signal; parameters has one number per kernel. Kernels that compete
 * (extrema only) have the largest of them in common.
 */
function compute(x, kernels, activation, parameters, decoder, compete = false) {
  const n = x.length;
  const similarities = kernels.map((w) => similarity(x, w));
  const positions = compete && activation === 'extrema'
    ? competingExtrema(similarities, Math.max(...parameters))
    : similarities.map((s, i) => activate(activation, s, parameters[i]));
  const values = positions.map((of, i) => Float32Array.from(of, (t) => similarities[i][t]));
  const parts = kernels.map((w, i) => reconstruction(n, positions[i], values[i], w, decoder));
  const xHat = new Float32Array(n);
  if (parts.length) xHat.set(parts[0]);
  for (const part of parts.slice(1)) for (let t = 0; t < n; t++) xHat[t] += part[t];
  const events = positions.reduce((sum, of) => sum + of.length, 0);
  const weights = kernels.reduce((sum, w) => sum + w.length, 0);
  return { similarities, positions, values, xHat, ...scores(x, xHat, weights, events) };
}

/** CR⁻¹ = (W + 2 A) / n, the loss over that of zeros, and φ. */
function scores(x, xHat, weights, events) {
  let error = 0, zeroError = 0;
  for (let t = 0; t < x.length; t++) {
    error += Math.abs(xHat[t] - x[t]);
    zeroError += Math.abs(x[t]);
  }
  const ratio = (weights + 2 * events) / x.length;
  const loss = zeroError > 0 ? error / zeroError : error > 0 ? Infinity : 0;
  return { events, weights, ratio, loss, phi: Math.hypot(ratio, loss) };
}

/** The segment of m samples of unit norm that has a position in its middle, where a kernel looks. */
function segment(x, m, position) {
  const before = (m - 1) >> 1, center = Math.max(before, Math.min(position, x.length - 1 - (m >> 1)));
  return unitNorm(Float32Array.from({ length: m }, (_, j) => x[center - before + j] || 0));
}

function unitNorm(w) {
  const norm = Math.hypot(...w);
  return norm > 0 ? Float32Array.from(w, (v) => v / norm) : Float32Array.from(w);
}

/** The same shape in another number of samples. */
function resample(w, m) {
  const scale = m > 1 ? (w.length - 1) / (m - 1) : 0;
  return Float32Array.from({ length: m }, (_, j) => {
    const at = j * scale, left = Math.floor(at), right = Math.min(left + 1, w.length - 1);
    return w[left] + (at - left) * (w[right] - w[left]);
  });
}

/** The gradient of the mean absolute error with respect to each kernel, events staying where they are. */
function gradient(x, kernels, { positions, values, xHat }, decoder) {
  const n = x.length, slope = x.map((v, t) => Math.sign(xHat[t] - v) / n);
  return kernels.map((w, i) => {
    const m = w.length, paper = decoder === 'paper', found = new Float64Array(m);
    const seen = (m - 1) >> 1, drawnBefore = paper ? m >> 1 : seen;
    positions[i].forEach((t, e) => {
      let ofValue = 0;
      for (let j = 0; j < m; j++) {
        const at = t - drawnBefore + j, weight = paper ? m - 1 - j : j;
        if (at < 0 || at >= n) continue;
        ofValue += w[weight] * slope[at];
        found[weight] += values[i][e] * slope[at];
      }
      for (let j = 0; j < m; j++) {
        const at = t - seen + j;
        if (at >= 0 && at < n) found[j] += ofValue * x[at];
      }
    });
    return found;
  });
}

/** Move kernels by one step of Adam (β 0.9 and 0.999, rate 0.01); its moments, for the next one. */
function adamStep(kernels, gradients, moments, step) {
  const kept = moments || kernels.map((w) => [new Float64Array(w.length), new Float64Array(w.length)]);
  kernels.forEach((w, i) => {
    const [mean, square] = kept[i];
    for (let j = 0; j < w.length; j++) {
      const g = gradients[i][j];
      mean[j] += 0.1 * (g - mean[j]);
      square[j] += 0.001 * (g * g - square[j]);
      w[j] -= ((0.01 / (1 - 0.9 ** step)) * mean[j]) / (Math.sqrt(square[j] / (1 - 0.999 ** step)) + 1e-8);
    }
  });
  return kept;
}
