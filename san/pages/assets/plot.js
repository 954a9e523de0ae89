// How numbers become lines, stems, bars and dots on a canvas. Colours are those of the style sheet.
'use strict';

const FONT = '12px system-ui, sans-serif';

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
}

/** Round numbers from low to high, about `count` of them, and how to write them; steps of at least `least`. */
function ticks(low, high, count, least = 0) {
  const rough = (high - low) / Math.max(1, count), power = 10 ** Math.floor(Math.log10(rough));
  const within = (size) => Math.floor(high / size + 1e-9) - Math.ceil(low / size - 1e-9) + 1;
  let step = Math.max(least, [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough * 0.999) || 10 * power);
  while (within(step) < 2 && step / 2 >= least) step /= 2;
  let digits = 0;
  while (digits < 12 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6 * step * 10 ** digits) digits += 1;
  const values = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) values.push(i * step);
  return { values, text: (v) => (Math.abs(v) < step / 2 ? 0 : v).toFixed(digits).replace('-', '−') };
}

/** A number in few digits. */
function short(v, digits = 3) {
  if (v === null || v === undefined || Number.isNaN(v)) return '–';
  if (!Number.isFinite(v)) return v > 0 ? '∞' : '−∞';
  if (Number.isInteger(v)) return v.toLocaleString('en').replace('-', '−');
  return String(Number(v.toPrecision(digits))).replace('-', '−');
}

/** The range of numbers with some room around them; NaN is passed over. */
function rangeOf(arrays, room = 0.06) {
  let low = Infinity, high = -Infinity;
  for (const values of arrays) {
    for (const v of values) {
      if (v < low) low = v;
      if (v > high) high = v;
    }
  }
  if (!(high >= low) || !Number.isFinite(high - low)) return [-1, 1];
  const extra = (high - low) * room || Math.abs(high) * 0.5 || 1;
  return [low - extra, high + extra];
}

/** Draw axes and layers; the answer turns places on the canvas into values and back. The y axis says v · by + plus. */
function draw(canvas, { x, y, xLabel = '', yLabel = '', layers, frameless = false, left = 0, whole = false, unit = { by: 1, plus: 0 }, xTicks = null }) {
  const width = canvas.clientWidth, height = canvas.clientHeight, ratio = devicePixelRatio || 1;
  if (width === 0 || height === 0) return null;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const ctx = canvas.getContext('2d');
  ctx.scale(ratio, ratio);
  ctx.font = FONT;
  const across = xTicks || ticks(...x, width / 90, whole ? 1 : 0), yTicks = ticks(...y.map((v) => v * unit.by + unit.plus), Math.max(3, height / 42));
  const widest = Math.max(...yTicks.values.map((v) => ctx.measureText(yTicks.text(v)).width), 8);
  const box = frameless
    ? { left: 4, right: width - 4, top: 4, bottom: height - 4 }
    : { left: Math.max(left, widest + 14), right: width - 10, top: yLabel ? 24 : 8, bottom: height - (xLabel ? 38 : 22) };
  const toX = (v) => box.left + ((v - x[0]) / (x[1] - x[0])) * (box.right - box.left);
  const toY = (v) => box.bottom - ((v - y[0]) / (y[1] - y[0])) * (box.bottom - box.top);
  const frame = {
    ctx, box, x, y, toX, toY,
    fromX: (px) => x[0] + ((px - box.left) / (box.right - box.left)) * (x[1] - x[0]),
    fromY: (py) => y[0] + ((box.bottom - py) / (box.bottom - box.top)) * (y[1] - y[0]),
  };
  if (!frameless) drawAxes(frame, across, yTicks, xLabel, yLabel, unit);
  ctx.save();
  ctx.beginPath();
  ctx.rect(box.left, box.top - 3, box.right - box.left + 3, box.bottom - box.top + 6);
  ctx.clip();
  for (const layer of layers) layer(frame);
  ctx.restore();
  return frame;
}

const ALIGNED = 50; // pixels before plots that stand below each other

function drawAxes({ ctx, box, toX, toY }, xTicks, yTicks, xLabel, yLabel, unit) {
  ctx.lineWidth = 1;
  ctx.strokeStyle = colour('grid');
  ctx.fillStyle = colour('muted');
  ctx.beginPath();
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'right';
  for (const v of yTicks.values) {
    const py = Math.round(toY((v - unit.plus) / unit.by)) + 0.5;
    ctx.moveTo(box.left, py);
    ctx.lineTo(box.right, py);
    ctx.fillText(yTicks.text(v), box.left - 7, py);
  }
  ctx.textBaseline = 'top';
  ctx.textAlign = 'center';
  for (const v of xTicks.values) {
    const text = xTicks.text(v), half = ctx.measureText(text).width / 2, px = Math.round(toX(v)) + 0.5;
    ctx.moveTo(px, box.bottom);
    ctx.lineTo(px, box.bottom + 4);
    ctx.fillText(text, Math.min(px, box.right + 8 - half), box.bottom + 7);
  }
  ctx.stroke();
  if (xLabel) ctx.fillText(xLabel, (box.left + box.right) / 2, box.bottom + 22);
  ctx.textAlign = 'left';
  if (yLabel) ctx.fillText(yLabel, 2, 4);
}

const WIDE = 4; // of a signal that another is drawn over: both remain visible

/** A curve; where a pixel has many samples, from their smallest to their largest. */
function line(values, name, { start = 0, step = 1, width = 1.4, dash = [] } = {}) {
  return (f) => {
    const { ctx, x, toX, toY } = f;
    const first = Math.max(0, Math.floor(x[0] / step - start) - 1);
    const last = Math.min(values.length, Math.ceil(x[1] / step - start) + 2);
    const perPixel = (last - first) / Math.max(1, f.box.right - f.box.left);
    ctx.strokeStyle = colour(name);
    ctx.lineWidth = width;
    ctx.lineJoin = 'round';
    ctx.setLineDash(dash);
    ctx.beginPath();
    let pen = false;
    const point = (t, v) => {
      if (!Number.isFinite(v)) {
        pen = false;
        return;
      }
      if (pen) ctx.lineTo(toX((start + t) * step), toY(v));
      else ctx.moveTo(toX((start + t) * step), toY(v));
      pen = true;
    };
    const stride = Math.floor(perPixel);
    if (stride < 3) for (let t = first; t < last; t++) point(t, values[t]);
    else for (let t = first - (first % stride); t < last; t += stride) {
      let low = -1, high = -1;
      for (let u = Math.max(0, t); u < Math.min(t + stride, values.length); u++) {
        if (low < 0 || !(values[u] >= values[low])) low = u;
        if (high < 0 || !(values[u] <= values[high])) high = u;
      }
      for (const u of low < high ? [low, high] : [high, low]) if (u >= 0) point(u, values[u]);
    }
    ctx.stroke();
    ctx.setLineDash([]);
  };
}

/** Smallest and largest values of runs of samples, as a filled band. */
function band(low, high, name, { start = 0, step = 1 } = {}) {
  return ({ ctx, x, toX, toY }) => {
    ctx.fillStyle = ctx.strokeStyle = colour(name);
    const first = Math.max(0, Math.floor(x[0] / step - start)), last = Math.min(low.length, Math.ceil(x[1] / step - start));
    for (let i = first; i < last; i++) {
      if (!Number.isFinite(low[i]) || !Number.isFinite(high[i])) continue;
      const left = toX((start + i) * step), right = toX((start + i + 1) * step);
      const top = toY(high[i]), bottom = toY(low[i]);
      ctx.fillRect(left, top - 0.5, Math.max(1, right - left), Math.max(1, bottom - top + 1));
    }
  };
}

/** Events of kernel i: a line from zero for each, with the kernel's marker unless the radius is 0. */
function stems(positions, values, i, { start = 0, step = 1, radius = 3, base = 0 } = {}) {
  return ({ ctx, x, toX, toY }) => {
    ctx.strokeStyle = colour(kernelColour(i));
    ctx.lineWidth = 1.5;
    ctx.beginPath();
    for (let e = 0; e < positions.length; e++) {
      const at = (start + positions[e]) * step;
      if (at < x[0] || at > x[1]) continue;
      ctx.moveTo(toX(at), toY(base));
      ctx.lineTo(toX(at), toY(values[e]));
    }
    ctx.stroke();
    if (radius > 0) markers(Array.from(positions, (t) => (start + t) * step), values, i, radius)({ ctx, toX, toY });
  };
}

/** Markers of kernel i. */
function markers(xs, ys, i, radius = 3.5) {
  const { outline, hollow } = kernelMarker(i), path = new Path2D(outline);
  return ({ ctx, toX, toY }) => {
    ctx.strokeStyle = colour(kernelColour(i));
    ctx.fillStyle = hollow ? colour('surface') : ctx.strokeStyle;
    for (let e = 0; e < xs.length; e++) {
      ctx.save();
      ctx.translate(toX(xs[e]), toY(ys[e]));
      ctx.scale(radius, radius);
      ctx.lineWidth = 1.2 / radius;
      ctx.fill(path);
      ctx.stroke(path);
      ctx.restore();
    }
  };
}

function dots(xs, ys, name, radius = 3.5) {
  return ({ ctx, toX, toY }) => {
    ctx.fillStyle = colour(name);
    for (let i = 0; i < xs.length; i++) {
      ctx.beginPath();
      ctx.arc(toX(xs[i]), toY(ys[i]), radius, 0, 7);
      ctx.fill();
    }
  };
}

function label(x, y, text) {
  return ({ ctx, box, toX, toY }) => {
    const wide = ctx.measureText(text).width, left = toX(x) - 16 - wide;
    const at = left > box.left ? left : toX(x) + 16;
    ctx.textBaseline = 'middle';
    ctx.textAlign = 'left';
    ctx.fillStyle = colour('surface');
    ctx.fillRect(at - 3, toY(y) - 9, wide + 6, 18);
    ctx.fillStyle = colour('text');
    ctx.fillText(text, at, toY(y));
  };
}

function ring(x, y, name, radius = 6) {
  return ({ ctx, toX, toY }) => {
    ctx.strokeStyle = colour(name);
    ctx.lineWidth = 2;
    ctx.beginPath();
    ctx.arc(toX(x), toY(y), radius, 0, 7);
    ctx.stroke();
  };
}

/** A curve through points. */
function curve(xs, ys, name, { width = 1.5, dash = [] } = {}) {
  return ({ ctx, toX, toY }) => {
    ctx.strokeStyle = colour(name);
    ctx.lineWidth = width;
    ctx.setLineDash(dash);
    ctx.beginPath();
    xs.forEach((x, i) => ctx.lineTo(toX(x), toY(ys[i])));
    ctx.stroke();
    ctx.setLineDash([]);
  };
}

/** Small triangles at the top of a plot, one for each position. */
function flags(positions, name, { step = 1 } = {}) {
  return ({ ctx, box, x, toX }) => {
    ctx.fillStyle = colour(name);
    ctx.beginPath();
    for (const t of positions) {
      if (t * step < x[0] || t * step > x[1]) continue;
      const px = toX(t * step);
      ctx.moveTo(px - 3.5, box.top - 3);
      ctx.lineTo(px + 3.5, box.top - 3);
      ctx.lineTo(px, box.top + 4);
    }
    ctx.fill();
  };
}

function baseline(value = 0) {
  return ({ ctx, box, toY }) => {
    ctx.strokeStyle = colour('axis');
    ctx.lineWidth = 1;
    ctx.beginPath();
    ctx.moveTo(box.left, Math.round(toY(value)) + 0.5);
    ctx.lineTo(box.right, Math.round(toY(value)) + 0.5);
    ctx.stroke();
  };
}

function cursor(value, name) {
  return ({ ctx, box, toX }) => {
    ctx.strokeStyle = colour(name);
    ctx.lineWidth = 1;
    ctx.setLineDash([3, 3]);
    ctx.beginPath();
    ctx.moveTo(toX(value), box.top);
    ctx.lineTo(toX(value), box.bottom);
    ctx.stroke();
    ctx.setLineDash([]);
  };
}

/** Quarter circles of equal φ around the origin of the plane of CR⁻¹ and loss, with their values. */
function arcs(radii) {
  return ({ ctx, box, x, y, toX, toY }) => {
    ctx.lineWidth = 1;
    ctx.textAlign = 'left';
    ctx.textBaseline = 'middle';
    for (const radius of radii) {
      ctx.strokeStyle = colour('axis');
      ctx.setLineDash(radius === 1 ? [] : [2, 3]);
      ctx.beginPath();
      for (let i = 0; i <= 60; i++) {
        const angle = (i / 60) * (Math.PI / 2);
        ctx.lineTo(toX(radius * Math.cos(angle)), toY(radius * Math.sin(angle)));
      }
      ctx.stroke();
      ctx.setLineDash([]);
      // Along the diagonal of the box, where the arc is inside of it.
      const slope = Math.atan2(y[1], x[1]), px = toX(radius * Math.cos(slope)), py = toY(radius * Math.sin(slope));
      if (px > box.right - 24 || py < box.top + 8) continue;
      const text = `φ ${radius}`, wide = ctx.measureText(text).width;
      ctx.fillStyle = colour('surface');
      ctx.fillRect(px - wide / 2 - 2, py - 8, wide + 4, 16);
      ctx.fillStyle = colour('muted');
      ctx.fillText(text, px - wide / 2, py);
    }
  };
}

/** The radii of arcs for a plane that reaches to these values. */
function arcRadii(xMax, yMax) {
  const far = Math.hypot(xMax, yMax);
  const step = [0.1, 0.25, 0.5, 1, 2, 5, 10, 20].find((s) => far / s <= 6) || far / 5;
  return Array.from({ length: 7 }, (_, i) => Number(((i + 1) * step).toFixed(4))).filter((r) => r < far);
}

/** An image (rows of numbers) with zero in the colour of the surface, squares for samples. */
function image(canvas, values, rows, columns, largest) {
  const ratio = devicePixelRatio || 1, side = canvas.clientWidth / columns;
  canvas.style.height = `${Math.round(side * rows)}px`;
  canvas.width = Math.round(canvas.clientWidth * ratio);
  canvas.height = Math.round(side * rows * ratio);
  const ctx = canvas.getContext('2d');
  ctx.scale(ratio, ratio);
  for (let i = 0; i < values.length; i++) {
    ctx.globalAlpha = Math.min(1, Math.abs(values[i]) / (largest || 1));
    ctx.fillStyle = colour(values[i] > 0 ? 'text' : 'kernel-2');
    ctx.fillRect((i % columns) * side, Math.floor(i / columns) * side, side + 0.5, side + 0.5);
  }
  ctx.globalAlpha = 1;
}
