// Puts the page together and drives it: one collector, six panels, the alerts, one clock.

import "uplot/dist/uPlot.min.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/panels.css";
import "./styles/query.css";

import { TidegateError } from "tidegate";
import { Alerts } from "./alerts.js";
import { liveCollector, QueryCollectors } from "./collector.js";
import { Connection } from "./connection.js";
import { el } from "./dom.js";
import { percent, say } from "./format.js";
import { Identity } from "./identity.js";
import { Feed } from "./live.js";
import { footer, header, shortcut } from "./page.js";
import { Panel } from "./panel.js";
import { cpu } from "./panels/cpu.js";
import { disk } from "./panels/disk.js";
import { filesystem } from "./panels/filesystem.js";
import { load } from "./panels/load.js";
import { memory } from "./panels/memory.js";
import { network } from "./panels/network.js";
import { QueryBox } from "./query-box.js";
import { listSources, machineSource, type Source } from "./sources.js";
import { startTheme } from "./theme.js";
import { startTips, tickTip } from "./tip.js";

/** The machine records every second. */
const POLL_MS = 1_000;
/** Nobody looks at a hidden tab; its title should still be about right. */
const POLL_HIDDEN_MS = 15_000;
/** Ages are shown in tenths of a second, but need not run that fast. */
const TICK_MS = 250;
/** The feeds answer one after the other within this. */
const SETTLE_MS = 60;
/** Narrower charts would race. */
const SHOWN_S_MIN = 60;
const SOURCES_EVERY_MS = 15_000;

const panels = [cpu, memory, load, network, disk, filesystem].map((subject) => new Panel(subject));
const connection = new Connection();
const identity = new Identity();
const alerts = new Alerts(location.origin);
const queries = new QueryBox(new QueryCollectors());
let feeds: Feed[] = [];
let windowS = 900;
let paused = false;
let drawnUntil = Date.now() / 1000;

function mount(): void {
  startTheme();
  startTips();
  const controls = { setWindow, togglePause };
  const parts = { name: identity.name, uptime: identity.uptime, connection: connection.node };
  document.getElementById("app")?.replaceChildren(
    header(parts, windowS, controls),
    connection.banner,
    el(
      "main",
      {},
      alerts.node,
      el("div", { class: "tiles" }, ...panels.map((panel) => panel.tile.node)),
      el("div", { class: "cards" }, ...panels.map((panel) => panel.card).filter((card) => card !== null)),
      queries.node,
    ),
    footer(),
  );
  alerts.start();
  shortcut("/", () => queries.focus());
  document.addEventListener("visibilitychange", restart);
}

async function start(): Promise<void> {
  const origin = location.origin;
  const sources = await firstSources(origin);
  const machine = machineSource(sources, origin);
  offer(sources, machine);
  const tidegate = await liveCollector(machine.url);
  identity.start(tidegate);
  feeds = panels.map(
    (panel) =>
      new Feed(tidegate, panel.subject.topic, (feed) => {
        panel.update(feed);
        if (feed.answer !== null) queries.learn(machine.name, feed.answer.metrics);
        judge();
        requestDraw();
      }),
  );
  restart();
  setInterval(tick, TICK_MS);
  setInterval(() => {
    if (!document.hidden) void listSources(origin).then((list) => offer(list ?? sources, machine));
  }, SOURCES_EVERY_MS);
}

/** The server's sources, as soon as it answers: which one to ask for the machine depends on them. */
async function firstSources(origin: string): Promise<Source[]> {
  for (;;) {
    const sources = await listSources(origin);
    if (sources !== null) return sources;
    connection.set("lost", "/health does not answer");
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function offer(sources: Source[], machine: Source): void {
  // `local` and what is pushed into it hold what the machine's source answers from.
  const others = sources.filter(({ name, kind }) => name !== machine.name && kind !== "local" && kind !== "push");
  queries.offer([machine, ...others]);
}

/** Begins polling anew at the pace that fits: not while paused, slowly while nobody looks. */
function restart(): void {
  for (const feed of feeds) {
    if (paused) feed.stop();
    else feed.start(windowS, document.hidden ? POLL_HIDDEN_MS : POLL_MS);
  }
}

function setWindow(seconds: number): void {
  windowS = seconds;
  restart();
  requestDraw();
}

function togglePause(): boolean {
  paused = !paused;
  restart();
  judge();
  return paused;
}

/** What the panels' feeds say about the server, in one word. */
function judge(): void {
  const failing = feeds.filter((feed) => feed.error !== null || feed.answer?.provenance === "stale-on-error");
  const answered = feeds.some((feed) => feed.answer !== null);
  if (paused) connection.set("paused");
  else if (failing.length === feeds.length) connection.set("lost", reason(failing[0]), failing.some((feed) => refused(feed.error)));
  else if (answered) connection.set("live");
}

function reason(feed: Feed | undefined): string {
  return feed?.error?.message ?? feed?.answer?.reason ?? "";
}

/** Whether the server is there, and said no. */
function refused(error: Error | null): boolean {
  return error instanceof TidegateError && error.status !== undefined;
}

let drawing = false;

/** Draws all charts once, however many feeds changed at about the same time. */
function requestDraw(): void {
  if (drawing || document.hidden) return;
  drawing = true;
  setTimeout(() => requestAnimationFrame(() => {
    drawing = false;
    if (!paused) drawnUntil = newest() ?? drawnUntil;
    for (const panel of panels) panel.draw(drawnUntil - shownS(), drawnUntil);
  }), SETTLE_MS);
}

/** The time of the newest sample of all panels: the right edge, whatever this browser's clock says. */
function newest(): number | null {
  const lasts = feeds.map((feed) => feed.table.last).filter((last) => last !== null);
  return lasts.length === 0 ? null : Math.max(...lasts);
}

/** How much the charts show: the window, or less while there is not so much yet, so that they are full from the start. */
function shownS(): number {
  const firsts = feeds.map((feed) => feed.table.first).filter((first) => first !== null);
  const there = drawnUntil - Math.min(drawnUntil, ...firsts);
  return Math.min(windowS, Math.max(SHOWN_S_MIN, there));
}

function tick(): void {
  const now = Date.now();
  for (const panel of panels) panel.tick(now);
  identity.tick(now);
  alerts.tick(now);
  tickTip();
  const busy = feeds[0]?.table.latest("busy") ?? null;
  const known = panels[0]?.tile.node.dataset["freshness"] !== "unavailable";
  const number = known ? say(busy, percent) : "–";
  document.title = [number, identity.nodename, "Tidegate"].filter((part) => part !== "").join(" · ");
}

mount();
start().catch((error: unknown) => {
  const why = error instanceof Error ? error.message : String(error);
  connection.set("failed", `This page could not start its collector: ${why}. Reload to try again.`);
});
