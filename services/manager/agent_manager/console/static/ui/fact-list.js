/** Words and what they stand for; a fact that nobody knows is left out. */

import { html } from "../core/html.js";

/** `facts` are pairs of a word and its text or template. */
export function factList(facts, kind) {
  const known = facts.filter(([, text]) => text !== null && text !== undefined && text !== "");
  return html`<dl class=${kind}>
    ${known.map(
      ([word, text]) =>
        html`<div>
          <dt>${word}</dt>
          <dd>${text}</dd>
        </div>`,
    )}
  </dl>`;
}
