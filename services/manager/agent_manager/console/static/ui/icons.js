/** Pictures of states and of what can be done. Each has a shape of its own: colour is never the only sign. */

import { html, svg } from "../core/html.js";

const PATHS = {
  running: svg`<circle cx="8" cy="8" r="5" class="solid"/>`,
  paused: svg`<path d="M5 3.5v9M11 3.5v9" class="line thick"/>`,
  stopping: svg`<circle cx="8" cy="8" r="5" class="line"/><path d="M8 3a5 5 0 0 1 0 10z" class="solid"/>`,
  starting: svg`<circle cx="8" cy="8" r="5" class="line dashed"/>`,
  stopped: svg`<circle cx="8" cy="8" r="5" class="line"/>`,
  problem: svg`<path d="M8 2 14.6 13.6H1.4z" class="solid"/><path d="M8 6.3v3.4M8 11.3v.9" class="cut"/>`,
  warning: svg`<path d="M8 2.6 14 13.2H2z" class="line"/><path d="M8 6.6v3M8 11v.9" class="line"/>`,
  pause: svg`<path d="M5.5 3.5v9M10.5 3.5v9" class="line thick"/>`,
  resume: svg`<path d="M5 3.2 12.5 8 5 12.8z" class="solid"/>`,
  start: svg`<path d="M5 3.2 12.5 8 5 12.8z" class="solid"/>`,
  stop: svg`<rect x="4" y="4" width="8" height="8" rx="1.5" class="solid"/>`,
  restart: svg`<path d="M12.8 6.2A5 5 0 1 0 13 9" class="line"/><path d="M13.4 2.6v3.8H9.6" class="line"/>`,
  close: svg`<path d="m4 4 8 8M12 4l-8 8" class="line"/>`,
  search: svg`<circle cx="7" cy="7" r="4.2" class="line"/><path d="m10.2 10.2 3.6 3.6" class="line"/>`,
  clock: svg`<circle cx="8" cy="8" r="5.6" class="line"/><path d="M8 4.8V8l2.2 1.6" class="line"/>`,
  check: svg`<path d="m3 8.6 3.2 3.2L13 4.8" class="line"/>`,
  shield: svg`<path d="M8 1.8 13.2 4v3.6c0 3-2.1 5.4-5.2 6.6-3.1-1.2-5.2-3.6-5.2-6.6V4z" class="line"/><path d="m5.6 8 1.8 1.8 3.2-3.4" class="line"/>`,
  copy: svg`<rect x="5.5" y="5.5" width="8" height="8" rx="1.5" class="line"/><path d="M10.5 2.5h-7a1 1 0 0 0-1 1v7" class="line"/>`,
  download: svg`<path d="M8 2.5v7.6M4.8 7 8 10.2 11.2 7M3 13.5h10" class="line"/>`,
  theme: svg`<circle cx="8" cy="8" r="5.4" class="line"/><path d="M8 2.6a5.4 5.4 0 0 1 0 10.8z" class="solid"/>`,
  help: svg`<circle cx="8" cy="8" r="5.8" class="line"/><path d="M6.3 6.4a1.8 1.8 0 1 1 2.6 1.6c-.6.3-.9.6-.9 1.2M8 11.2v.6" class="line"/>`,
  up: svg`<path d="m4 9.5 4-4 4 4" class="line"/>`,
  down: svg`<path d="m4 6.5 4 4 4-4" class="line"/>`,
  left: svg`<path d="M9.5 4 5.5 8l4 4" class="line"/>`,
  plus: svg`<path d="M8 3v10M3 8h10" class="line"/>`,
  undo: svg`<path d="M3.2 6.6h6.2a3.4 3.4 0 0 1 0 6.8H6" class="line"/><path d="M6 3.6 3 6.6l3 3" class="line"/>`,
  hurry: svg`<path d="M3 4.2 7.2 8 3 11.8zM8.4 4.2 12.6 8l-4.2 3.8z" class="solid"/>`,
};

/** A picture beside words: readers of the screen skip it. */
export function icon(name) {
  return html`<svg class="icon i-${name}" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
    ${PATHS[name]}
  </svg>`;
}

const WORDS = { stopping: "draining" };

/** A state as people say it. */
export function stateWord(state) {
  return WORDS[state] ?? state;
}

/** A state with its picture. */
export function stateMark(state, level = 0) {
  const shape = level === 4 ? "problem" : level === 3 ? "warning" : state;
  return html`<span class="state s-${state} l-${level}"
    >${icon(shape)}<span class="word">${level === 4 ? "down" : stateWord(state)}</span></span
  >`;
}
