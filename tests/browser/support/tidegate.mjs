// The real `tidegate serve` on a free port, with its log kept for failures.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { program } from "./paths.mjs";
import { eventually } from "./wait.mjs";

const LOG_LINES_MAX = 200;
const running = new Set();
// Whatever ends this process ends what it started.
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

/** A port of 127.0.0.1 that nobody listened on a moment ago. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Starts `tidegate serve`, with this configuration if any, and waits until it answers. */
export async function startTidegate({ port, config, args = [] } = {}) {
  const onPort = port ?? (await freePort());
  const folder = mkdtempSync(join(tmpdir(), "tidegate-test-"));
  const log = [];
  const file = join(folder, "tidegate.toml");
  if (config !== undefined) writeFileSync(file, config);
  const configured = config === undefined ? [] : ["--config", file];
  const child = spawn(program(), ["serve", "--listen", `127.0.0.1:${onPort}`, ...configured, ...args], {
    cwd: folder,
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  let ended = null;
  child.on("error", (error) => (ended = String(error)));
  child.on("exit", (code, signal) => (ended ??= `it ended with ${signal ?? code}`));
  for (const pipe of [child.stdout, child.stderr]) {
    pipe.setEncoding("utf8").on("data", (text) => {
      log.push(...text.split("\n").filter((line) => line !== ""));
      log.splice(0, Math.max(0, log.length - LOG_LINES_MAX));
    });
  }
  const url = `http://127.0.0.1:${onPort}`;
  const stop = async (signal = "SIGTERM") => {
    if (ended === null) {
      child.kill(signal);
      await once(child, "exit");
    }
    running.delete(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await eventually("tidegate to answer", async () => {
      if (ended !== null) return `${ended}:\n${log.join("\n")}`;
      const response = await fetch(`${url}/stats`).catch((error) => ({ ok: false, status: String(error) }));
      return response.ok ? null : `status ${response.status}`;
    });
  } catch (error) {
    await stop("SIGKILL");
    throw error;
  }
  return { url, port: onPort, log, stop, kill: () => stop("SIGKILL") };
}
