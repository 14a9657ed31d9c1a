/** A watched directory from the compiled binary, into a real cluster. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  closeSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { MIB, sameBytes, TestCluster, until } from "./harness.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start();
}, 60_000);
afterAll(() => cluster.stop());

type Event = Record<string, unknown> & { kind: string; path: string };

/** A watched directory with a remote one of its own. */
class Watched {
  readonly root: string;
  readonly remote: string;
  readonly #env: Record<string, string>;

  constructor(name: string) {
    this.root = join(cluster.dir, name);
    this.remote = `/${name}`;
    this.#env = { XDG_STATE_HOME: join(cluster.dir, "state") };
    mkdirSync(this.root);
  }

  path(name: string): string {
    return join(this.root, name);
  }

  write(name: string, text: string): void {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), text);
  }

  /** Starts a watch; it is in step when this returns. */
  async start(...flags: string[]): Promise<Watch> {
    const watch = new Watch(this.#spawn(flags));
    await watch.until("it is in step", ({ kind }) => kind === "watching");
    return watch;
  }

  /** Runs a watch that ends; returns what it told. */
  async once(...flags: string[]): Promise<Event[]> {
    const watch = new Watch(this.#spawn(["--once", ...flags]));
    expect(await watch.child.exited).toBe(0);
    await watch.read;
    return watch.events.filter(({ kind }) => kind !== "done");
  }

  async text(name: string): Promise<string> {
    return await cluster.ok("get", "-q", `${this.remote}/${name}`, "-");
  }

  async names(): Promise<string[]> {
    const list = JSON.parse(await cluster.ok("ls", "-R", "--json", this.remote)) as Event[];
    return list.filter(({ kind }) => kind === "file")
      .map(({ path }) => path.slice(this.remote.length + 1)).sort();
  }

  #spawn(flags: string[]) {
    const args = ["watch", "--json", ...flags, this.root, this.remote];
    return cluster.spawn(args, { env: this.#env });
  }
}

class Watch {
  readonly events: Event[] = [];
  readonly read: Promise<void>;

  constructor(readonly child: Bun.Subprocess<Bun.Spawn.Writable, "pipe", "pipe">) {
    this.read = this.#read();
  }

  /** Waits for an event; each one counts once for each call's own `from`. */
  async until(what: string, test: (event: Event) => boolean, from = 0): Promise<void> {
    await until(what, () => {
      if (this.events.slice(from).some(test)) return true;
      if (this.child.exitCode === null) return false;
      throw new Error(`The watch ended with ${this.child.exitCode} before: ${what}`);
    });
  }

  of(kind: string): Event[] {
    return this.events.filter((event) => event.kind === kind);
  }

  async kill(signal: NodeJS.Signals): Promise<number> {
    this.child.kill(signal);
    const exit = await this.child.exited;
    await this.read;
    return exit;
  }

  async #read(): Promise<void> {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const bytes of this.child.stdout) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      this.events.push(...lines.map((line) => JSON.parse(line) as Event));
    }
  }
}

async function bytesIn(): Promise<number> {
  const { keepers } = await cluster.status();
  return keepers.flatMap(({ ports }) => ports).reduce((sum, port) => sum + port.bytesIn, 0);
}

test(
  "watch sends what is there and what comes, and follows renames without sending bytes",
  async () => {
    const watched = new Watched("follow");
    watched.write("a", "1");
    watched.write("d/e/b", "2");
    const big = cluster.file("follow/d/big.bin", 5 * MIB);
    const watch = await watched.start();
    expect(await watched.names()).toEqual(["a", "d/big.bin", "d/e/b"]);
    watched.write("new/deep/er/c", "3");
    await watch.until("it is sent", ({ path }) => path === "/follow/new/deep/er/c");
    expect(await watched.text("new/deep/er/c")).toBe("3");
    const version = (path: string) => async () =>
      JSON.parse(await cluster.ok("stat", "--json", path)).version as number;
    const versionBefore = await version("/follow/d/big.bin")();
    const allBytes = 3 * (5 * MIB + 3);
    await until("the keepers have told of all copies", async () => await bytesIn() === allBytes);
    renameSync(big, watched.path("moved.bin"));
    renameSync(watched.path("new"), watched.path("newer"));
    await watch.until("the file is renamed", ({ path }) => path === "/follow/moved.bin");
    await watch.until("the directory is renamed", ({ path }) => path === "/follow/newer");
    expect(watch.of("renamed").map(({ from }) => from).sort()).toEqual([
      ...["/follow/d/big.bin", "/follow/new"],
    ]);
    expect(await version("/follow/moved.bin")()).toBe(versionBefore);
    expect(await bytesIn()).toBe(allBytes);
    expect(await watch.kill("SIGINT")).toBe(130);
  },
  60_000,
);

test(
  "watch sends small files that come together in packs, and one that comes alone at once",
  async () => {
    const watched = new Watched("small");
    const watch = await watched.start();
    for (let n = 0; n < 200; n++) watched.write(`d/${n}`, `this is ${n}`);
    const sent = () => watch.events.filter(({ kind }) => kind === "sent").length;
    await until("all are sent", () => Promise.resolve(sent() === 200));
    expect(await watched.text("d/7")).toBe("this is 7");
    watched.write("alone", "alone");
    await until("it is sent", () => Promise.resolve(sent() === 201));
    await watch.kill("SIGTERM");
    expect(await watched.names()).toHaveLength(201);
    const ids = await Promise.all([190, 191, 192, 193, 194, 195].map(async (n) => {
      const stat = await cluster.ok("stat", "--json", "--locations", `/small/d/${n}`);
      return (JSON.parse(stat) as { chunks: { id: string }[] }).chunks[0]?.id;
    }));
    expect(new Set(ids).size).toBeLessThan(6);
  },
  60_000,
);

test("watch sends a growing file once, and whole", async () => {
  const watched = new Watched("growing");
  const watch = await watched.start();
  const file = openSync(watched.path("grows"), "w");
  const piece = new Uint8Array(64 * 1024).fill(7);
  // For longer than the settle time, with pauses that are shorter.
  for (let n = 0; n < 20; n++) {
    writeSync(file, piece);
    await Bun.sleep(100);
  }
  closeSync(file);
  await watch.until("it is sent", ({ path }) => path === "/growing/grows");
  await watch.kill("SIGTERM");
  expect(watch.of("sent").map(({ size }) => size)).toEqual([20 * piece.length]);
  await cluster.ok("get", "-q", "/growing/grows", join(cluster.dir, "grows.back"));
  expect(await sameBytes(watched.path("grows"), join(cluster.dir, "grows.back"))).toBe(true);
}, 60_000);

test("watch removes only with --delete, and leaves alone what the ignore file says", async () => {
  const watched = new Watched("removing");
  watched.write(".tydfsignore", "*.log\ntmp/\n");
  for (const name of ["a", "b", "d/c", "x.log", "tmp/y"]) watched.write(name, name);
  let watch = await watched.start();
  expect(await watched.names()).toEqual([".tydfsignore", "a", "b", "d/c"]);
  rmSync(watched.path("a"));
  watched.write("z", "1");
  await watch.until("what came after it is sent", ({ path }) => path === "/removing/z");
  await watch.kill("SIGINT");
  expect(await watched.names()).toContain("a");
  // What vanished before, and what vanishes now.
  watch = await watched.start("--delete");
  await until("it is removed", async () => !(await watched.names()).includes("a"));
  rmSync(watched.path("d"), { recursive: true });
  await watch.until(
    "it is removed",
    ({ kind, path }) => kind === "removed" && path === "/removing/d",
  );
  watched.write(".tydfsignore", "tmp/\n");
  await watch.until("it is ignored no more", ({ path }) => path === "/removing/x.log");
  await watch.kill("SIGINT");
  expect(await watched.names()).toEqual([".tydfsignore", "b", "x.log", "z"]);
}, 60_000);

test("watch sends after kill -9 only what changed", async () => {
  const watched = new Watched("killed");
  for (let n = 0; n < 50; n++) watched.write(`d${n % 5}/f${n}`, String(n));
  const watch = await watched.start();
  expect(watch.of("sent")).toHaveLength(50);
  await watch.kill("SIGKILL");
  watched.write("d0/f0", "other");
  watched.write("new", "new");
  renameSync(watched.path("d1"), watched.path("moved"));
  rmSync(watched.path("d2/f2"));
  const again = await watched.start("--delete");
  await again.kill("SIGINT");
  const told = again.events.filter(({ kind }) => kind !== "watching")
    .map(({ kind, path }) => `${kind} ${path}`).sort();
  expect(told).toEqual([
    "removed /killed/d2/f2",
    "renamed /killed/moved",
    "sent /killed/d0/f0",
    "sent /killed/new",
  ]);
  expect(await watched.once("--delete")).toEqual([]);
  // Without its state it compares with the cluster.
  const state = join(cluster.dir, "other-state.db");
  expect(await watched.once("--state", state)).toEqual([]);
}, 60_000);

test("watch killed while it sends goes on after that", async () => {
  const watched = new Watched("interrupted");
  for (let n = 0; n < 200; n++) watched.write(`f${n}`, String(n));
  const args = ["watch", "--json", watched.root, watched.remote];
  const watch = new Watch(
    cluster.spawn(args, { env: { XDG_STATE_HOME: join(cluster.dir, "state") } }),
  );
  await until("some are sent", () => watch.of("sent").length >= 20);
  await watch.kill("SIGKILL");
  const sent = await watched.once();
  expect(sent.length).toBeLessThan(200);
  expect(await watched.names()).toHaveLength(200);
  expect(await watched.once()).toEqual([]);
}, 60_000);

test("watch that polls finds what changes", async () => {
  const watched = new Watched("polled");
  watched.write("a", "1");
  const watch = await watched.start("--poll", "500ms", "--delete");
  expect(watch.of("polling")).toHaveLength(1);
  watched.write("b", "2");
  rmSync(watched.path("a"));
  await watch.until("it is sent", ({ path }) => path === "/polled/b");
  await watch.until("it is removed", ({ kind }) => kind === "removed");
  await watch.kill("SIGINT");
}, 60_000);

test("watch removes nothing when its directory vanishes, and goes on when it is back", async () => {
  const watched = new Watched("vanishing");
  for (const name of ["a", "b", "c"]) watched.write(name, name);
  const state = join(cluster.dir, "vanishing.db");
  const watch = await watched.start("--delete", "--state", state);
  renameSync(watched.root, `${watched.root}-away`);
  await watch.until("it has noticed", ({ kind }) => kind === "root-lost");
  renameSync(`${watched.root}-away`, watched.root);
  watched.write("d", "4");
  await watch.until("what is new is sent", ({ path }) => path === "/vanishing/d");
  await watch.kill("SIGINT");
  expect(watch.of("removed")).toEqual([]);
  // As when its disk is not mounted at the start.
  renameSync(watched.root, `${watched.root}-away`);
  mkdirSync(watched.root);
  const args = ["watch", "--once", "--delete", "--state", state, watched.root, watched.remote];
  const outcome = await cluster.run(args);
  expect(outcome.exit).toBe(4);
  expect(outcome.stderr).toContain("4 of 4 known entries are missing; is the right disk mounted?");
  expect(await watched.names()).toEqual(["a", "b", "c", "d"]);
}, 60_000);

test("watch refuses a second one of the same pair", async () => {
  const watched = new Watched("twice");
  const watch = await watched.start();
  const env = { XDG_STATE_HOME: join(cluster.dir, "state") };
  const second = await cluster.run(["watch", `${watched.root}/.`, "twice/"], { env });
  expect(second.exit).toBe(4);
  expect(second.stderr).toContain("another tydfs watch of this directory");
  await watch.kill("SIGINT");
}, 60_000);

test("watch waits for the master, and sends what changed while it was away", async () => {
  const watched = new Watched("away");
  watched.write("a", "1");
  const watch = await watched.start();
  await cluster.killMaster();
  watched.write("b", "2");
  await watch.until("it has noticed", ({ kind }) => kind === "away");
  await cluster.startMaster();
  await watch.until("it has noticed", ({ kind }) => kind === "back");
  await watch.until("it is sent", ({ path }) => path === "/away/b");
  await watch.kill("SIGINT");
  expect(await watched.text("b")).toBe("2");
}, 90_000);
