import { html } from "../core/html.js";
export const eventsScreen = { view: () => html`<p>events</p>` };
