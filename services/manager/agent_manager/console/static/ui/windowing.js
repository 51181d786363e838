/** A long list of rows of one height, of which only those in sight are in the page. */

import { html, repeat, ref } from "../core/html.js";
import { redraw } from "../core/app.js";

const OVERSCAN = 6;

export class Windowed {
  #element = null;
  #range = { first: 0, last: 0 };
  #total = 0;
  #height = 40;

  /** `inPage`: it is the page that scrolls, else the element around the list. */
  constructor({ inPage = true } = {}) {
    this.inPage = inPage;
    this.follow = () => {
      const { first, last } = this.#measure();
      if (first !== this.#range.first || last !== this.#range.last) redraw();
    };
    if (inPage) {
      addEventListener("scroll", this.follow, { passive: true });
      addEventListener("resize", this.follow, { passive: true });
    }
  }

  /** Give the rows in sight, in a box as high as all of them. */
  view(items, height, keyOf, template, { role = "rowgroup" } = {}) {
    this.#total = items.length;
    this.#height = height;
    this.#range = this.#measure();
    const { first, last } = this.#range;
    const shown = items.slice(first, last);
    return html`<div class="rows" role=${role} ${ref(this.#keep)} .style=${`height: ${items.length * height}px`}>
      <div role="presentation" .style=${`transform: translateY(${first * height}px)`}>
        ${repeat(shown, keyOf, (item, index) => template(item, first + index))}
      </div>
    </div>`;
  }

  /** Bring a row into sight. */
  reveal(index) {
    if (!this.#element) return;
    const top = this.#element.getBoundingClientRect().top + index * this.#height;
    const box = this.#box();
    const headroom = this.inPage ? 150 : 0;
    if (top < box.top + headroom) this.#scrollBy(top - box.top - headroom);
    else if (top + this.#height > box.bottom - 8) this.#scrollBy(top + this.#height - box.bottom + 8);
  }

  #keep = (element) => {
    if (element && element !== this.#element) {
      this.#element = element;
      queueMicrotask(() => this.#scroller()?.addEventListener("scroll", this.follow, { passive: true })); // not in the page yet
      redraw();
    }
    this.#element = element ?? null;
  };

  #measure() {
    const box = this.#box();
    const top = this.#element ? this.#element.getBoundingClientRect().top : box.top;
    const first = Math.floor((box.top - top) / this.#height) - OVERSCAN;
    const last = Math.ceil((box.bottom - top) / this.#height) + OVERSCAN;
    return { first: Math.max(0, Math.min(first, this.#total)), last: Math.max(0, Math.min(last, this.#total)) };
  }

  #box() {
    return this.#scroller()?.getBoundingClientRect() ?? { top: 0, bottom: innerHeight };
  }

  #scroller() {
    return this.inPage ? null : (this.#element?.parentElement ?? null);
  }

  #scrollBy(distance) {
    if (this.inPage) scrollBy(0, distance);
    else if (this.#scroller()) this.#scroller().scrollTop += distance;
  }
}
