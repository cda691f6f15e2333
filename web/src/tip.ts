// One tooltip for the whole page, shown by pointer, by keyboard focus and by touch.

import { el, setText } from "./dom.js";

const tip = el("div", { class: "tip", attrs: { role: "tooltip", id: "tip" } });
tip.hidden = true;
let owner: HTMLElement | null = null;
let words: () => string = () => "";

/** Gives an element a tooltip; `text` is asked each time it is shown. */
export function tipOn(element: HTMLElement, text: () => string): void {
  const open = (): void => show(element, text);
  element.addEventListener("pointerenter", open);
  element.addEventListener("focus", open);
  element.addEventListener("click", open);
  element.addEventListener("pointerleave", hide);
  element.addEventListener("blur", hide);
}

/** Puts the tooltip into the page. */
export function startTips(): void {
  document.body.append(tip);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
  addEventListener("scroll", hide, { passive: true });
}

/** Brings an open tooltip up to date. */
export function tickTip(): void {
  if (owner !== null) setText(tip, words());
}

function show(element: HTMLElement, text: () => string): void {
  owner = element;
  words = text;
  setText(tip, text());
  tip.hidden = false;
  element.setAttribute("aria-describedby", "tip");
  const anchor = element.getBoundingClientRect();
  const size = tip.getBoundingClientRect();
  const margin = 8;
  const left = Math.min(Math.max(margin, anchor.left), innerWidth - size.width - margin);
  const below = anchor.bottom + 6;
  const top = below + size.height + margin > innerHeight ? anchor.top - size.height - 6 : below;
  tip.style.left = `${left}px`;
  tip.style.top = `${Math.max(margin, top)}px`;
}

function hide(): void {
  owner?.removeAttribute("aria-describedby");
  owner = null;
  tip.hidden = true;
}
