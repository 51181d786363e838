import { html } from "../core/html.js";
export const wallScreen = { view: () => html`<p>wall</p>` };
