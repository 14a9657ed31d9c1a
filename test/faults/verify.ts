/** Has the independent checker look at a cluster at rest, and beside it at ports. */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ChaosCluster } from "./cluster.ts";
import { Violation } from "./violation.ts";
import type { Workload } from "./workload.ts";
import { ROOT } from "./workload.ts";

const PYTHON = "/usr/bin/python3";

/** A tree beside the cluster that nothing may touch. */
export class Canary {
  readonly dir: string;
  readonly digest: string;

  constructor(parent: string) {
    this.dir = join(parent, "canary");
    mkdirSync(this.dir, { recursive: true });
    for (const name of ["one", "two", "three"]) {
      writeFileSync(join(this.dir, name), name.repeat(99));
    }
    const hash = createHash("sha256");
    for (const name of readdirSync(this.dir).sort()) {
      hash.update(`${name}\n`).update(readFileSync(join(this.dir, name)));
    }
    this.digest = hash.digest("hex");
  }
}

export interface Found {
  files: number;
  bytes: number;
  chunks: number;
  copies: number;
  packs: number;
  /** Places in packs that are files. */
  packed: number;
}

/** Checks catalog and disks against what was read back. Throws what is broken. */
export async function verify(
  cluster: ChaosCluster,
  workload: Workload,
  found: readonly { path: string; content: string }[],
  canary: Canary,
): Promise<Found> {
  const files = found.map(({ path, content }) => {
    const facts = workload.contents.get(content);
    if (facts === undefined) throw new Violation("I4", `"${path}" holds what nobody has put`);
    const digest = content.slice(content.indexOf(":") + 1);
    return { path, size: facts.sizeBytes, digest, name: facts.name };
  });
  checkPorts(cluster);
  const { broken, counts } = await check(cluster.options.dir, {
    catalog: join(cluster.master.dir, "catalog.db"),
    keepers: cluster.keepers.map(({ name, dir }) => ({ name, dir })),
    prefix: `${ROOT}/`,
    canary: { dir: canary.dir, digest: canary.digest },
    memory: join(cluster.options.dir, "chunks.json"),
    files,
  });
  const [first] = broken;
  if (first === undefined) return counts;
  const all = broken.map(({ invariant, message }) => `${invariant}: ${message}`);
  throw new Violation(first.invariant, first.message, all);
}

/** What the checker is told. */
export interface Facts {
  catalog: string;
  keepers: { name: string; dir: string }[];
  /** Files below it are those of the model. */
  prefix: string;
  canary: { dir: string; digest: string };
  /** Where the checker keeps which bytes each chunk has had at its earlier looks. */
  memory: string;
  /** What is to be there; `name` is that of the content. */
  files: { path: string; size: number; digest: string; name: string }[];
}

/** Runs the checker, with its facts in `dir`. Throws when it fails itself. */
export async function check(
  dir: string,
  facts: Facts,
): Promise<{ broken: { invariant: string; message: string }[]; counts: Found }> {
  const factsPath = join(dir, "facts.json");
  writeFileSync(factsPath, JSON.stringify(facts));
  const script = join(import.meta.dir, "checker", "check.py");
  const child = Bun.spawn([PYTHON, "-B", script, factsPath], { stdout: "pipe", stderr: "pipe" });
  const [out, complaints] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  await child.exited;
  const lines = out.trim().split("\n").map((line) => parse(line, complaints));
  const broken = lines.slice(0, -1) as { invariant: string; message: string }[];
  return { broken, counts: lines.at(-1) as Found };
}

function parse(line: string, complaints: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new Error(`The checker failed: ${complaints}`);
  }
}

/** I15: on the hosts of the keepers nothing listens but the ports of their streamers. */
function checkPorts({ options, keepers }: ChaosCluster): void {
  if (options.hosts.kind !== "netns") return;
  for (const { name, host } of keepers) {
    const lines = options.hosts.run(host, ["ss", "-Hltn"]).trim().split("\n");
    const ports = lines.map((line) => Number(/:(\d+)\s/.exec(line)?.[1] ?? 0));
    const strange = ports.filter((port) => port !== 7000 && port !== 7001);
    if (strange.length === 0) continue;
    throw new Violation("I15", `something listens on ${name}'s ports ${strange}`);
  }
}
