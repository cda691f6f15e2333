// The page's frame: header with its controls, footer with the way to the server's own pages.

import { el, setText } from "./dom.js";
import { digits } from "./format.js";
import { svg } from "./dom.js";
import { onTheme, theme, toggleTheme } from "./theme.js";

/** Windows the charts can show, in seconds. */
export const WINDOWS: readonly (readonly [label: string, seconds: number])[] = [
  ["5m", 300],
  ["15m", 900],
  ["1h", 3600],
];

/** What the header's controls call. */
export interface Controls {
  setWindow: (seconds: number) => void;
  togglePause: () => boolean;
}

export function header(parts: { name: Node; uptime: Node; connection: Node }, windowS: number, controls: Controls): HTMLElement {
  const windows = WINDOWS.map(([label, seconds]) => {
    const button = el("button", { class: "button", attrs: { type: "button", "aria-pressed": String(seconds === windowS) } }, label);
    button.addEventListener("click", () => {
      windows.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      controls.setWindow(seconds);
    });
    return button;
  });
  return el(
    "header",
    { class: "top" },
    el("div", { class: "brand" }, logo(), el("h1", {}, "Tidegate")),
    el("div", { class: "node" }, parts.name, parts.uptime),
    parts.connection,
    el("div", { class: "spacer" }),
    el("div", { class: "group", attrs: { role: "group", "aria-label": "Time window of the charts" } }, ...windows),
    pauseButton(controls.togglePause),
    themeButton(),
  );
}

function logo(): SVGElement {
  const wave = (y: number, name: string): SVGElement => svg("path", { d: `M3 ${y}c3-4 6-4 9 0s6 4 9 0`, class: name });
  return svg("svg", { viewBox: "0 0 24 24", class: "logo", "aria-hidden": "true" }, wave(10, "wave-1"), wave(16, "wave-2"));
}

function pauseButton(toggle: () => boolean): HTMLElement {
  const button = el("button", { class: "button", testid: "pause", attrs: { type: "button", "aria-pressed": "false", "aria-keyshortcuts": "p" } }, "Pause");
  button.addEventListener("click", () => {
    const paused = toggle();
    button.setAttribute("aria-pressed", String(paused));
    setText(button, paused ? "Resume" : "Pause");
  });
  shortcut("p", () => button.click());
  return button;
}

function themeButton(): HTMLElement {
  const button = el("button", { class: "button", testid: "theme", attrs: { type: "button", "aria-keyshortcuts": "t" } });
  const label = (): void => {
    setText(button, theme() === "dark" ? "☀" : "☾");
    button.setAttribute("aria-label", theme() === "dark" ? "Light theme" : "Dark theme");
  };
  label();
  onTheme(label);
  button.addEventListener("click", toggleTheme);
  shortcut("t", toggleTheme);
  return button;
}

/** Calls back on a key that is pressed outside of any field. */
export function shortcut(key: string, run: () => void): void {
  document.addEventListener("keydown", (event) => {
    const field = event.target instanceof Element && event.target.closest("input, select, textarea") !== null;
    if (event.key !== key || field || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    run();
  });
}

export function footer(): HTMLElement {
  const link = (href: string): HTMLElement => el("a", { attrs: { href } }, href);
  const wasm = el("span", { class: "wasm", testid: "wasm" });
  describeWasm(wasm);
  return el("footer", { class: "foot" }, el("nav", { attrs: { "aria-label": "The server's own pages" } }, link("/metrics"), link("/stats"), link("/health")), wasm);
}

/** Says which collector runs in this page, with its size once the browser has measured it. */
function describeWasm(node: HTMLElement): void {
  const words = `this page runs tidegate ${__TIDEGATE_VERSION__} as WebAssembly`;
  setText(node, words);
  new PerformanceObserver((list) => {
    const wasm = list.getEntries().find((entry) => entry.name.endsWith(".wasm"));
    if (!(wasm instanceof PerformanceResourceTiming) || wasm.decodedBodySize === 0) return;
    setText(node, `${words}, ${digits(wasm.decodedBodySize / 1024)} KiB`);
  }).observe({ type: "resource", buffered: true });
}
