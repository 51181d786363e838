/** One dialog at a time, in the browser's own element: it holds the focus, Escape closes it, the rest is inert. */

import { html, nothing, render } from "../core/html.js";

let host = null;
let current = null;

/** Show a dialog. `content()` gives `{title, body, actions}` and is called again by `redrawDialog`. */
export function openDialog(content, { wide = false, onClose = () => {} } = {}) {
  host ??= makeHost();
  current = { content, wide, onClose };
  redrawDialog();
  if (!host.open) host.showModal();
  host.querySelector("[autofocus]")?.focus();
}

/** Draw the open dialog again. */
export function redrawDialog() {
  if (!current) return;
  const { title, body, actions } = current.content();
  const inside = html`<div class="dialog-box">
    <header><h2 id="dialog-title">${title}</h2></header>
    <div class="dialog-body">${body}</div>
    <footer>${actions ?? html`<button class="button" type="button" @click=${closeDialog}>Close</button>`}</footer>
  </div>`;
  host.classList.toggle("wide", current.wide);
  render(inside, host);
}

export function closeDialog() {
  if (host?.open) host.close();
}

export function dialogIsOpen() {
  return Boolean(host?.open);
}

/** Ask before something that cannot be undone. */
export function confirmDialog({ title, body, verb, kind = "danger", act }) {
  openDialog(() => ({
    title,
    body,
    actions: html`<button class="button" type="button" autofocus @click=${closeDialog}>Leave it</button>
      <button class="button ${kind}" type="button" @click=${() => (closeDialog(), act())}>${verb}</button>`,
  }));
}

function makeHost() {
  const element = document.createElement("dialog");
  element.setAttribute("aria-labelledby", "dialog-title");
  element.addEventListener("close", () => {
    const closed = current;
    current = null;
    render(nothing, element);
    closed?.onClose();
  });
  element.addEventListener("click", (event) => event.target === element && closeDialog());
  document.body.append(element);
  return element;
}
