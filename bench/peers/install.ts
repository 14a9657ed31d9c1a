/**
 * Brings what systems under measurement need to `.build/peers/`, and nowhere else: programs by
 * their Go module path, Debian packages unpacked but not installed. What is on PATH is taken as it
 * is.
 */
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { runTool } from "./processes.ts";
import { progress } from "./progress.ts";

const ROOT = resolve(import.meta.dir, "../../.build/peers");
/** Compiling a large program on a small machine takes its time. */
const BUILD_MS = 45 * 60_000;
const FETCH_MS = 5 * 60_000;

const programs = new Map<string, Promise<string>>();

/** A program of that name: on PATH, or compiled from `module` at `version`; tried once in a run. */
export function goProgram(name: string, module: string, version: string): Promise<string> {
  const known = programs.get(name);
  if (known !== undefined) return known;
  const found = findProgram(name, module, version);
  programs.set(name, found);
  return found;
}

async function findProgram(name: string, module: string, version: string): Promise<string> {
  const found = Bun.which(name);
  if (found !== null) return found;
  const directory = join(ROOT, name);
  const path = join(directory, name);
  if (existsSync(path)) return path;
  const go = Bun.which("go") ?? Bun.which("/usr/local/go/bin/go");
  if (go === null) throw new Error(`neither ${name} nor Go is installed`);
  progress(`installing ${name} (go install ${module}): this takes minutes`);
  mkdirSync(directory, { recursive: true });
  const command = [go, "install", "-trimpath", "-ldflags", "-s -w", `${module}@${version}`];
  const env = { GOBIN: directory, CGO_ENABLED: "0", GOFLAGS: "" };
  await runTool(command, { env, timeoutMs: BUILD_MS });
  return path;
}

/** A directory with the unpacked files of Debian packages. */
export async function debianPackages(name: string, packages: string[]): Promise<string> {
  const directory = join(ROOT, name);
  if (existsSync(join(directory, "usr"))) return directory;
  if (Bun.which("apt-get") === null || Bun.which("dpkg") === null) {
    throw new Error("this is no Debian, and its packages can't be had");
  }
  progress(`fetching ${packages.join(", ")} (apt-get download)`);
  const draft = `${directory}.draft`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  const options = { cwd: draft, timeoutMs: FETCH_MS };
  try {
    await runTool(["apt-get", "-qq", "download", ...packages], options);
  } catch {
    // The list of packages may be old, or empty.
    await runTool(["apt-get", "-qq", "update"], options);
    await runTool(["apt-get", "-qq", "download", ...packages], options);
  }
  for (const file of new Bun.Glob("*.deb").scanSync({ cwd: draft })) {
    await runTool(["dpkg", "-x", file, draft], options);
    rmSync(join(draft, file));
  }
  await runTool(["mv", draft, directory]);
  return directory;
}

/** The nats-server that tydfs embeds, too. */
export function natsServer(): string {
  const candidates = [process.env["TYDFS_NATS_SERVER"], Bun.which("nats-server")];
  const found = candidates.find((path) => path !== undefined && path !== null && path !== "") ??
    join(ROOT, "../nats-server");
  if (!existsSync(found)) throw new Error("no nats-server: run ./cluster.sh build");
  return found;
}
