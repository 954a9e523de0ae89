// How a curve is drawn by hand, with a pointer or with keys, and what of it is said aloud.
'use strict';

class Editor {
  constructor(canvas, { values, label, changed, paint, start = 0, step = 1, told = short }) {
    Object.assign(this, { canvas, values, label, changed, paint, start, step, told, selected: 0, range: null, frame: null, last: null });
    canvas.addEventListener('pointerdown', (event) => this.press(event));
    canvas.addEventListener('pointermove', (event) => this.move(event));
    for (const name of ['pointerup', 'pointercancel']) canvas.addEventListener(name, () => this.release());
    canvas.addEventListener('keydown', (event) => this.key(event));
    for (const name of ['focus', 'blur']) canvas.addEventListener(name, () => this.draw());
  }

  press(event) {
    if (!this.frame || event.button > 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.range = this.frame.y; // which does not move under the pointer
    this.last = null;
    this.move(event);
  }

  move(event) {
    if (!this.range) return;
    const box = this.canvas.getBoundingClientRect(), values = this.values(), [low, high] = this.range;
    const t = Math.round(this.frame.fromX(event.clientX - box.left) / this.step - this.start);
    const here = [Math.max(0, Math.min(values.length - 1, t)),
      Math.max(low, Math.min(high, this.frame.fromY(event.clientY - box.top)))];
    const from = this.last || here, steps = Math.max(1, Math.abs(here[0] - from[0]));
    for (let i = this.last ? 1 : steps; i <= steps; i++) {
      this.set(from[0] + Math.round(((here[0] - from[0]) * i) / steps), from[1] + ((here[1] - from[1]) * i) / steps);
    }
    this.last = here;
    [this.selected] = here;
    this.changed();
  }

  release() {
    if (!this.range) return;
    this.range = null;
    this.draw();
  }

  key(event) {
    const values = this.values(), far = event.shiftKey ? 10 : 1, [low, high] = this.frame ? this.frame.y : [-1, 1];
    const moves = { ArrowLeft: -far, ArrowRight: far, Home: -values.length, End: values.length, PageUp: -50, PageDown: 50 };
    const raises = { ArrowUp: 1, ArrowDown: -1 };
    if (event.key in moves) {
      this.selected = Math.max(0, Math.min(values.length - 1, this.selected + moves[event.key]));
      this.draw();
    } else if (event.key in raises) {
      const by = raises[event.key] * (high - low) * (event.shiftKey ? 0.1 : 0.02);
      this.set(this.selected, values[this.selected] + by);
      this.changed();
    } else if (event.key === 'Delete') {
      this.set(this.selected, 0);
      this.changed();
    } else return;
    event.preventDefault();
  }

  /** Bring a sample to a value, and those under the pen towards it. */
  set(at, value) {
    const values = this.values(), reach = (Number(byId('pen').value) + 1) / 2;
    for (let t = Math.max(0, at - reach + 1); t < Math.min(values.length, at + reach); t++) {
      const share = 0.5 + 0.5 * Math.cos((Math.PI * (t - at)) / reach);
      values[t] += share * (value - values[t]);
    }
    values[at] = value;
  }

  draw() {
    const values = this.values();
    this.selected = Math.min(this.selected, values.length - 1);
    const marks = document.activeElement === this.canvas
      ? [cursor((this.start + this.selected) * this.step, 'accent'),
        ring((this.start + this.selected) * this.step, values[this.selected], 'accent')] : [];
    this.frame = this.paint(this.canvas, this.range, marks);
    const { canvas, selected } = this;
    const said = this.told(values[selected]);
    canvas.setAttribute('aria-valuemin', this.frame ? this.frame.y[0] : -1);
    canvas.setAttribute('aria-valuemax', this.frame ? this.frame.y[1] : 1);
    canvas.setAttribute('aria-valuenow', values[selected]);
    canvas.setAttribute('aria-valuetext', `${this.label()} sample ${selected + 1} of ${values.length}: ${said}`);
  }
}
