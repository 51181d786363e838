/** The keys, in a dialog. */

import { html } from "../core/html.js";
import { openDialog } from "./dialog.js";

const KEYS = [
  ["/", "to the filter or the search of this screen"],
  ["j", "next row"],
  ["k", "row before"],
  ["Enter", "open the row"],
  ["u", "back to the fleet"],
  ["o", "an agent's overview"],
  ["e", "execute"],
  ["l", "logs"],
  ["Space", "in the logs: pause and go on"],
  ["?", "this"],
  ["Escape", "close, or empty the filter"],
];

export function openHelp() {
  openDialog(() => ({
    title: "Keys",
    body: html`<dl class="keys">
        ${KEYS.map(
          ([key, text]) =>
            html`<div>
              <dt><kbd>${key}</kbd></dt>
              <dd>${text}</dd>
            </div>`,
        )}
      </dl>
      <p class="muted">
        The same facts on the command line: <code>agentctl get agents</code>. The API: <a href="/schema">/schema</a>.
      </p>`,
  }));
}
