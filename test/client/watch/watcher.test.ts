/**
 * Watches of a real directory into a remote in memory: what is sent, moved, removed, and what
 * never.
 */
import { expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import fc from "fast-check";
import { makeFilter } from "../../../src/client/trees/filter.ts";
import { TydfsError } from "../../../src/wire/errors.ts";
import { WatchWorld } from "./world.ts";

const kinds = (events: readonly { kind: string }[]) => events.map(({ kind }) => kind);

test("Watcher sends what is there, and nothing again", async () => {
  using world = new WatchWorld();
  world.write("a", "1");
  world.write("d/e/b", "2");
  mkdirSync(world.path("empty"));
  await world.once();
  expect(world.remote.tree("/w")).toEqual(world.tree());
  expect(await world.once()).toEqual([]);
});

test("Watcher sends after a restart only what changed meanwhile", async () => {
  using world = new WatchWorld();
  for (const name of ["a", "b", "c", "d/e"]) world.write(name, name);
  await world.once();
  world.write("b", "longer");
  world.write("new", "new");
  world.remove("c");
  expect((await world.once()).sort()).toEqual(["put /w/b", "put /w/new", "remove /w/c"]);
  expect(world.remote.tree("/w")).toEqual(world.tree());
});

test("Watcher sends small files together that have settled together, and each is known then", async () => {
  using world = new WatchWorld();
  for (let n = 0; n < 200; n++) world.write(`d/${n}`, String(n));
  world.write("large", "x".repeat(1 << 20));
  const { events } = await world.result({ transfers: 1 });
  expect(world.remote.tree("/w")).toEqual(world.tree());
  const together = world.remote.packed.reduce((sum, files) => sum + files, 0);
  expect(together).toBeGreaterThan(100);
  expect(kinds(events).filter((kind) => kind === "sent")).toHaveLength(201);
  world.remote.calls.length = 0;
  expect(await world.once()).toEqual([]);
});

test("Watcher sends by itself what can't go together, and tells of what fails", async () => {
  using world = new WatchWorld();
  for (let n = 0; n < 50; n++) world.write(`${n}`, String(n));
  world.remote.before = (name, path) => {
    if (name === "put" && path === "/w/7") throw new TydfsError("no-space", "No room");
  };
  const { files, failures } = await world.result({ transfers: 1 });
  expect(world.remote.packed.length).toBeGreaterThan(0);
  expect(files).toBe(49);
  expect(failures).toMatchObject([{ code: "no-space" }]);
});

test("Watcher sends again what changes while it is sent with others", async () => {
  using world = new WatchWorld();
  for (let n = 0; n < 20; n++) world.write(`${n}`, String(n));
  let changed = false;
  world.remote.onRead = (local) => {
    if (changed || !local.endsWith("/5")) return;
    changed = true;
    world.write("5", "changed meanwhile");
  };
  await world.once({ transfers: 1 });
  expect(world.remote.tree("/w")).toEqual(world.tree());
});

test("Watcher without deletes removes nothing, also not later what was moved away", async () => {
  using world = new WatchWorld();
  world.write("a", "1");
  world.write("d/b", "2");
  await world.once({ deletes: false });
  world.remove("a");
  world.remove("d");
  expect(await world.once({ deletes: false })).toEqual([]);
  expect(world.remote.entries.has("/w/d/b")).toBe(true);
});

test("Watcher moves renamed files and directories without sending them", async () => {
  using world = new WatchWorld();
  world.write("a", "1");
  world.write("d/b", "2");
  world.write("d/e/c", "3");
  await world.once();
  world.move("a", "z/a2");
  world.move("d", "f");
  const calls = await world.once();
  expect(calls.filter((call) => call.startsWith("put"))).toEqual([]);
  expect(calls).toContain("rename /w/d /w/f");
  expect(calls).toContain("rename /w/a /w/z/a2");
  expect(world.remote.tree("/w")).toEqual(world.tree());
});

test("Watcher sends a renamed file whose remote source was replaced by someone else", async () => {
  using world = new WatchWorld();
  world.write("a", "1");
  await world.once();
  world.write("x", "other");
  await world.remote.put(world.path("x"), "/w/a");
  world.remove("x");
  world.move("a", "b");
  const { events } = await world.result();
  expect(world.remote.calls).toContain("put /w/b");
  expect(world.remote.tree("/w")).toEqual({ a: "other", b: "1" });
  expect(events).toContainEqual(expect.objectContaining({ kind: "kept", path: "/w/a" }));
});

test("Watcher takes a new directory that has the inode of a removed one for a new one", async () => {
  using world = new WatchWorld();
  world.write("d/a", "1");
  await world.once({ deletes: false });
  world.remove("d");
  mkdirSync(world.path("e"));
  await world.once({ deletes: false });
  expect(world.remote.tree("/w")).toEqual({ "d/": "", "d/a": "1", "e/": "" });
});

test("Watcher follows a rename and a new mode at once", async () => {
  using world = new WatchWorld();
  world.write("a", "1");
  await world.once();
  world.move("a", "b");
  chmodSync(world.path("b"), 0o600);
  expect(await world.once()).toEqual(["rename /w/a /w/b", "set /w/b"]);
});

test("Watcher replaces a remote file by a rename onto it", async () => {
  using world = new WatchWorld();
  world.write("old", "old");
  world.write("new", "new!");
  await world.once();
  world.move("new", "old");
  expect(await world.once()).toEqual(["rename /w/new /w/old"]);
  expect(world.remote.tree("/w")).toEqual({ old: "new!" });
});

test("Watcher sends both when two files have changed their names with each other", async () => {
  using world = new WatchWorld();
  world.write("a", "1");
  world.write("b", "2");
  await world.once();
  world.move("a", "c");
  world.move("b", "a");
  world.move("c", "b");
  await world.once();
  expect(world.remote.tree("/w")).toEqual({ a: "2", b: "1" });
});

test("Watcher follows a file that becomes a directory, and back", async () => {
  using world = new WatchWorld();
  world.write("x", "1");
  await world.once();
  world.remove("x");
  world.write("x/y/z", "2");
  await world.once();
  expect(world.remote.tree("/w")).toEqual(world.tree());
  world.remove("x");
  world.write("x", "3");
  await world.once();
  expect(world.remote.tree("/w")).toEqual(world.tree());
});

test("Watcher tells a new time or mode without sending the bytes again", async () => {
  using world = new WatchWorld();
  world.write("a", "1");
  world.write("b", "2");
  await world.once();
  utimesSync(world.path("a"), 1_000_000, 1_000_000);
  chmodSync(world.path("b"), 0o600);
  expect((await world.once()).sort()).toEqual(["set /w/a", "set /w/b"]);
  expect(world.remote.entries.get("/w/a")?.mtimeMs).toBe(1_000_000_000);
  expect(world.remote.entries.get("/w/b")?.mode).toBe(0o600);
  expect(await world.once()).toEqual([]);
});

test("Watcher sends a file of the same size whose bytes are others", async () => {
  using world = new WatchWorld();
  world.write("a", "1");
  await world.once();
  world.write("a", "2");
  expect(await world.once()).toEqual(["put /w/a"]);
});

test("Watcher sends again what the cluster has lost or what others have replaced", async () => {
  using world = new WatchWorld();
  world.write("a", "1");
  world.write("b", "2");
  world.write("other", "not mine");
  await world.once();
  await world.remote.remove("/w/a");
  await world.remote.put(world.path("other"), "/w/b");
  world.remote.calls.splice(0);
  expect((await world.once()).sort()).toEqual(["put /w/a", "put /w/b"]);
  expect(world.remote.tree("/w")).toEqual(world.tree());
});

test("Watcher with a lost or damaged state compares with the cluster", async () => {
  using world = new WatchWorld();
  world.write("a", "1");
  world.write("d/b", "2");
  await world.once();
  rmSync(world.statePath);
  expect(await world.once()).toEqual([]);
  writeFileSync(world.statePath, "no database, but long enough to be looked at as one".repeat(200));
  for (const tail of ["-wal", "-shm"]) rmSync(world.statePath + tail, { force: true });
  const { events } = await world.result();
  expect(world.remote.calls).toEqual([]);
  expect(kinds(events)).toEqual(["state-lost"]);
  expect(existsSync(`${world.statePath}.damaged`)).toBe(true);
});

test("Watcher leaves alone what filters and ignore files say, and forgets what they come to say", async () => {
  using world = new WatchWorld();
  for (const name of ["a.mp4", "a.log", "keep/b.log", "tmp/c", ".a.mp4.tydfs-part"]) {
    world.write(name, name);
  }
  world.write(".tydfsignore", "*.log\ntmp/\n");
  world.write("keep/.tydfsignore", "!b.log\n");
  await world.once();
  const names = [".tydfsignore", "a.mp4", "keep/", "keep/.tydfsignore", "keep/b.log"];
  expect(Object.keys(world.remote.tree("/w"))).toEqual(names);
  // What is ignored from now on stays there, though it counts as missing nowhere.
  world.write(".tydfsignore", "*.mp4\n");
  world.remove("a.mp4");
  const filter = makeFilter([{ kind: "exclude", pattern: "*.log" }]);
  const calls = await world.once({ filter });
  expect(calls.sort()).toEqual(["make /w/tmp", "put /w/.tydfsignore", "put /w/tmp/c"]);
  expect(world.remote.entries.has("/w/a.mp4")).toBe(true);
});

test("Watcher keeps links as links, or leaves them out", async () => {
  using world = new WatchWorld();
  world.write("a", "1");
  symlinkSync("a", world.path("link"));
  await world.once({ links: "skip" });
  expect(world.remote.tree("/w")).toEqual({ a: "1" });
  expect(await world.once()).toEqual(["putLink /w/link"]);
  expect(await world.once()).toEqual([]);
});

test("Watcher follows links where it is to, and sends what they lead to", async () => {
  using world = new WatchWorld();
  using other = new WatchWorld();
  other.write("deep/x", "there");
  world.write("a", "1");
  symlinkSync("a", world.path("b"));
  symlinkSync(other.root, world.path("d"));
  await world.once({ links: "follow" });
  const tree = { a: "1", b: "1", "d/": "", "d/deep/": "", "d/deep/x": "there" };
  expect(world.remote.tree("/w")).toEqual(tree);
  expect(await world.once({ links: "follow" })).toEqual([]);
});

test("Watcher makes no directories of which nothing is taken, and moves the others", async () => {
  using world = new WatchWorld();
  const filter = makeFilter([{ kind: "include", pattern: "*.mp4" }]);
  world.write("d/a.mp4", "1");
  world.write("e/b.txt", "2");
  await world.once({ filter });
  expect(world.remote.tree("/w")).toEqual({ "d/": "", "d/a.mp4": "1" });
  world.move("d", "f");
  expect(await world.once({ filter })).toEqual(["rename /w/d /w/f"]);
});

test("Watcher sends both names of a file with two", async () => {
  using world = new WatchWorld();
  world.write("a", "1");
  await world.once();
  linkSync(world.path("a"), world.path("b"));
  expect(await world.once()).toEqual(["put /w/b"]);
});

test("Watcher keeps remote directories that hold what others have put there", async () => {
  using world = new WatchWorld();
  world.write("d/a", "1");
  await world.once();
  await world.remote.put(world.path("d/a"), "/w/d/others");
  world.remove("d");
  const { events } = await world.result();
  expect(world.remote.tree("/w")).toEqual({ "d/": "", "d/others": "1" });
  expect(kinds(events)).toEqual(["removed", "kept"]);
});

test("Watcher refuses to take an empty mount point for removals", async () => {
  using world = new WatchWorld();
  for (const name of ["a", "b", "c"]) world.write(name, name);
  await world.once();
  renameSync(world.root, `${world.root}-unmounted`);
  mkdirSync(world.root);
  await expect(world.once()).rejects.toThrow(
    /not the directory that it was, and 3 of 3 known entries/,
  );
  // Without deletes it is no error; nor does it become the directory that is known.
  expect(await world.once({ deletes: false })).toEqual([]);
  await expect(world.once()).rejects.toThrow(/not the directory that it was/);
  rmSync(world.root, { recursive: true });
  renameSync(`${world.root}-unmounted`, world.root);
  world.remove("b");
  expect(await world.once()).toEqual(["remove /w/b"]);
});

test("Watcher refuses a remote file, and a second watch of the same state", async () => {
  using world = new WatchWorld();
  world.write("a", "1");
  await world.remote.put(world.path("a"), "/w");
  await expect(world.once()).rejects.toThrow(/"\/w": it is a file/);
  world.remote.entries.clear();
  const running = await world.start();
  await expect(world.once()).rejects.toThrow(/another tydfs watch/);
  await running.stop();
});

test("Watcher does not call a file sent that changes while it is sent", async () => {
  using world = new WatchWorld();
  world.write("a", "1");
  let changes = 0;
  world.remote.onRead = (local) => {
    if (changes++ < 2) appendFileSync(local, "+");
  };
  await world.once();
  expect(world.remote.tree("/w")).toEqual({ a: "1++" });
});

test("Watcher once tells what failed, and sends the rest", async () => {
  using world = new WatchWorld();
  world.write("a", "1");
  world.write("b", "2");
  world.remote.before = (name, path) => {
    if (name === "put" && path === "/w/a") throw new TydfsError("no-space", "No room");
  };
  const { failures, files, events } = await world.result();
  expect(failures).toEqual([expect.objectContaining({ code: "no-space" })]);
  expect(files).toBe(1);
  expect(kinds(events).sort()).toEqual(["failed", "sent"]);
});

test("Watcher once ends when the master is away", async () => {
  using world = new WatchWorld();
  world.write("a", "1");
  world.remote.before = (name) => {
    if (name === "put") throw new TydfsError("no-master", "Nobody is there");
  };
  await expect(world.once()).rejects.toThrow("Nobody is there");
});

test("Watcher once ends though a file keeps growing", async () => {
  using world = new WatchWorld();
  world.write("a", "1");
  world.write("grows", "1");
  const growing = setInterval(() => appendFileSync(world.path("grows"), "+"), 1);
  try {
    const { unsettled, files } = await world.result();
    expect({ unsettled, files }).toEqual({ unsettled: 1, files: 1 });
  } finally {
    clearInterval(growing);
  }
});

// ------------------------------------------------------------------------------ watches that go on

test("Watcher follows changes as they come", async () => {
  using world = new WatchWorld();
  world.write("a", "1");
  const watch = await world.start();
  await watch.until("the first is in step", () => kinds(watch.events).includes("watching"));
  const same = () => JSON.stringify(world.remote.tree("/w")) === JSON.stringify(world.tree());
  world.write("new/deep/er/b", "2");
  world.write("c", "3");
  await watch.until("new files are there", same);
  world.move("new/deep", "moved");
  await watch.until("they have moved", same);
  world.remove("moved");
  world.write("c", "33");
  await watch.until("they are gone", same);
  await watch.stop();
  const puts = world.remote.calls.filter((call) => call.startsWith("put"));
  expect(puts.sort()).toEqual([
    "put /w/a",
    "put /w/c",
    "put /w/c",
    "put /w/new/deep/er/b",
  ]);
});

test("Watcher sends a growing file once, when it is quiet", async () => {
  using world = new WatchWorld();
  const watch = await world.start();
  for (let n = 0; n < 30; n++) {
    appendFileSync(world.path("grows"), `${n} `);
    await Bun.sleep(3);
  }
  await watch.until("it is sent", () => world.remote.entries.has("/w/grows"));
  await watch.stop();
  expect(world.remote.tree("/w")).toEqual(world.tree());
  expect(world.remote.calls).toEqual(["put /w/grows"]);
});

test("Watcher without hints finds by its scans what has changed", async () => {
  using world = new WatchWorld();
  const deaf = () => ({ stop: () => {} });
  const watch = await world.start({ listenForHints: deaf, rescanMs: 2_000 });
  await watch.until("it watches", () => kinds(watch.events).includes("watching"));
  world.write("a", "1");
  await watch.until("it is sent", () => world.remote.entries.has("/w/a"));
  await watch.stop();
});

test("Watcher looks again and again when it can't be told of changes", async () => {
  using world = new WatchWorld();
  const watch = await world.start({
    listenForHints: (_root, { onTrouble }) => {
      onTrouble("the system watches no more directories");
      return { stop: () => {} };
    },
  });
  await watch.until("it watches", () => kinds(watch.events).includes("watching"));
  world.write("a", "1");
  await watch.until("it is sent", () => world.remote.entries.has("/w/a"));
  await watch.stop();
  expect(kinds(watch.events)[0]).toBe("polling");
});

test("Watcher looks at everything when too much has happened to be told", async () => {
  using world = new WatchWorld();
  let hint: (path: string | undefined) => void = () => {};
  const watch = await world.start({
    listenForHints: (_root, { onHint }) => {
      hint = onHint;
      return { stop: () => {} };
    },
  });
  await watch.until("it watches", () => kinds(watch.events).includes("watching"));
  world.write("a", "1");
  for (let n = 0; n <= 10_000; n++) hint(`nothing/${n}`);
  await watch.until("it is sent", () => world.remote.entries.has("/w/a"));
  world.write("b", "1");
  hint(undefined);
  await watch.until("the other one is sent", () => world.remote.entries.has("/w/b"));
  await watch.stop();
});

test("Watcher waits for an absent master, and goes on where it was", async () => {
  using world = new WatchWorld();
  let isAway = false;
  world.remote.before = () => {
    if (isAway) throw new TydfsError("no-master", "Nobody is there");
  };
  world.write("a", "1");
  const watch = await world.start();
  await watch.until("it watches", () => kinds(watch.events).includes("watching"));
  isAway = true;
  world.write("b", "2");
  world.move("a", "c");
  await watch.until("it has noticed", () => kinds(watch.events).includes("away"));
  isAway = false;
  await watch.until("it is back", () => kinds(watch.events).includes("back"));
  await watch.until("all is there", () => world.remote.entries.has("/w/c"));
  await watch.until("all is there", () => world.remote.entries.has("/w/b"));
  await watch.stop();
  expect(world.remote.tree("/w")).toEqual(world.tree());
  expect(kinds(watch.events).filter((kind) => kind === "away")).toEqual(["away"]);
});

test("Watcher tries a failed path again, and tells of it once", async () => {
  using world = new WatchWorld();
  let failures = 0;
  world.remote.before = (name) => {
    if (name === "put" && failures++ < 3) throw new TydfsError("no-space", "No room");
  };
  world.write("a", "1");
  const watch = await world.start();
  await watch.until("it is sent", () => world.remote.entries.has("/w/a"));
  await watch.stop();
  expect(kinds(watch.events)).toEqual(["failed", "watching", "sent"]);
});

test("Watcher waits for a directory that has gone, and removes nothing", async () => {
  using world = new WatchWorld();
  for (const name of ["a", "b", "d/c"]) world.write(name, name);
  const watch = await world.start();
  await watch.until("it watches", () => kinds(watch.events).includes("watching"));
  renameSync(world.root, `${world.root}-away`);
  await watch.until("it has noticed", () => kinds(watch.events).includes("root-lost"));
  mkdirSync(world.root);
  await Bun.sleep(100);
  expect(kinds(watch.events)).not.toContain("root-back");
  rmSync(world.root, { recursive: true });
  truncateSync(`${world.root}-away/a`, 0);
  renameSync(`${world.root}-away`, world.root);
  await watch.until("it is back", () => kinds(watch.events).includes("root-back"));
  const size = () => world.remote.entries.get("/w/a")?.bytes.length;
  await watch.until("what changed is sent", () => size() === 0);
  world.write("later", "1");
  await watch.until("hints are heard again", () => world.remote.entries.has("/w/later"));
  await watch.stop();
  expect(world.remote.calls.filter((call) => call.startsWith("remove"))).toEqual([]);
});

test("Watcher notices a changed ignore file", async () => {
  using world = new WatchWorld();
  world.write(".tydfsignore", "*.log");
  world.write("a.log", "1");
  const watch = await world.start();
  await watch.until("it watches", () => kinds(watch.events).includes("watching"));
  expect(world.remote.entries.has("/w/a.log")).toBe(false);
  world.write(".tydfsignore", "*.txt");
  await watch.until("it is sent", () => world.remote.entries.has("/w/a.log"));
  await watch.stop();
});

// ------------------------------------------------------------------------------------- at random

const NAMES = ["a", "b", "c", "d"];
const pathOf = fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join("/"));
const change = fc.oneof(
  fc.record({ kind: fc.constant("write" as const), path: pathOf, text: fc.string() }),
  fc.record({ kind: fc.constant("remove" as const), path: pathOf }),
  fc.record({ kind: fc.constant("make" as const), path: pathOf }),
  fc.record({ kind: fc.constant("move" as const), path: pathOf, to: pathOf }),
  fc.record({ kind: fc.constant("sync" as const) }),
);

test("Watcher brings the remote in step after any changes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 25 }), async (changes) => {
      using world = new WatchWorld();
      for (const step of [...changes, { kind: "sync" as const }]) {
        try {
          if (step.kind === "write") world.write(step.path, step.text);
          if (step.kind === "remove") world.remove(step.path);
          if (step.kind === "make") mkdirSync(world.path(step.path), { recursive: true });
          if (step.kind === "move") world.move(step.path, step.to);
        } catch {
          // The disk says no, as disks do.
        }
        if (step.kind !== "sync") continue;
        await world.once();
        expect(world.remote.tree("/w")).toEqual(world.tree());
        expect(await world.once()).toEqual([]);
      }
    }),
    { numRuns: 40 },
  );
}, 60_000);
