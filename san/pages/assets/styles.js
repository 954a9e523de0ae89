// Which colour, dashes and marker a kernel has. Twelve kernels have twelve styles, without their colours, too.
'use strict';

const COLOURS = 6, DASHES = [[], [8, 3], [8, 3, 2, 3], [2, 2.5]];
// Outlines around 0 that reach about as far as a circle of radius 1.
const MARKERS = [
  'M1 0A1 1 0 1 1 -1 0A1 1 0 1 1 1 0Z', 'M-.9 -.9H.9V.9H-.9Z', 'M0 -1.2L1.1 .8H-1.1Z',
  'M0 -1.3L1.1 0L0 1.3L-1.1 0Z', 'M0 1.2L1.1 -.8H-1.1Z',
  'M-.4 -1.2H.4V-.4H1.2V.4H.4V1.2H-.4V.4H-1.2V-.4H-.4Z',
];

function kernelColour(i) {
  return `kernel-${(i % COLOURS) + 1}`;
}

function kernelDash(i) {
  return DASHES[i % DASHES.length];
}

/** The outline of a kernel's marker, and whether it is hollow. */
function kernelMarker(i) {
  return { outline: MARKERS[i % MARKERS.length], hollow: Math.floor(i / COLOURS) % 2 === 1 };
}

/** An entry of a legend: a line and, of kernels, a marker, as they are drawn; i < 0 is no kernel. */
function keyEntry(text, name, { i = -1, width = 2 } = {}) {
  const draw = (tag, attributes) => {
    const element = document.createElementNS(byId('drawing').namespaceURI, tag);
    for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
    return element;
  };
  const svg = draw('svg', { width: 34, height: 14, viewBox: '0 -7 34 14', 'aria-hidden': 'true' });
  svg.append(draw('path', { d: 'M0 0H34', stroke: 'currentColor', 'stroke-width': width, 'stroke-dasharray': i < 0 ? '' : kernelDash(i).join(' ') }));
  if (i >= 0) {
    const { outline, hollow } = kernelMarker(i);
    svg.append(draw('path', { d: outline, transform: 'translate(17 0) scale(4)', stroke: 'currentColor', 'stroke-width': 0.4, class: hollow ? 'hollow' : 'filled' }));
  }
  return make('li', { className: name }, svg, make('span', {}, text));
}

/** The entry of kernel i. */
function kernelEntry(text, i) {
  return keyEntry(text, kernelColour(i), { i });
}
