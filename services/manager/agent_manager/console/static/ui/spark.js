/** Small lines without axes: the shape of ten minutes. */

import { html, svg } from "../core/html.js";

const WIDTH = 100;
const HEIGHT = 20;
const paths = new WeakMap();

/** A line over the given steps; `steps` is how many fit. `kind` is what it shows, for its colour. */
export function spark(numbers, kind, { steps = 119, least = 1 } = {}) {
  const drawn = numbers ? pathsOf(numbers, steps, least) : null;
  return html`<svg
    class="spark k-${kind}"
    viewBox="0 0 ${WIDTH} ${HEIGHT}"
    preserveAspectRatio="none"
    aria-hidden="true"
  >
    ${
      drawn === null
        ? svg`<path class="none" d="M0 ${HEIGHT - 0.75}H${WIDTH}"/>`
        : svg`<path class="area" d=${drawn.area}/><path class="stroke" d=${drawn.line}/>`
    }
  </svg>`;
}

function pathsOf(numbers, steps, least) {
  const known = paths.get(numbers);
  if (known) return known;
  const most = Math.max(least, ...numbers);
  const step = WIDTH / (steps - 1);
  const begin = WIDTH - (numbers.length - 1) * step;
  const points = numbers.map((number, index) => {
    const y = HEIGHT - 1 - (number / most) * (HEIGHT - 3);
    return `${(begin + index * step).toFixed(1)} ${y.toFixed(1)}`;
  });
  const line = `M${points.join("L")}`;
  const drawn = { line, area: `${line}L${WIDTH} ${HEIGHT}L${begin.toFixed(1)} ${HEIGHT}Z` };
  paths.set(numbers, drawn);
  return drawn;
}
