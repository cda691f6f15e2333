// A headless Chromium: the one of the system, as playwright-core drives it.

import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const PROGRAM = process.env.CHROMIUM ?? "/usr/bin/chromium";

// Nothing of this talks to anybody but the page; a container has neither a GPU nor a sandbox.
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-proxy-server",
];

/** Starts a browser with a profile of its own; close it when done. */
export async function launch() {
  if (!existsSync(PROGRAM)) throw new Error(`there is no ${PROGRAM}: run cargo xtask setup --for test`);
  return chromium.launch({ executablePath: PROGRAM, headless: true, args: FLAGS });
}

/** Notes everything a page complains about: console errors, exceptions, content security violations. */
export async function complaintsOf(page) {
  const complaints = [];
  await page.exposeFunction("tidegateComplain", (text) => void complaints.push(text));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      window.tidegateComplain(`content security policy: ${event.violatedDirective} ${event.blockedURI}`),
    );
  });
  page.on("pageerror", (error) => complaints.push(`exception: ${error.stack ?? error}`));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(`console: ${message.text()} (${message.location().url})`);
  });
  return complaints;
}
