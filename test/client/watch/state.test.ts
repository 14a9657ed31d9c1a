/** What a watch remembers: rows, pages in the order of a walk, moves, locks, damage. */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import type { KnownEntry } from "../../../src/client/watch/plan.ts";
import { WatchState } from "../../../src/client/watch/state.ts";
import { compareBytes, keyOf } from "../../../src/client/trees/merge.ts";
import { stateDirectory, stateName } from "../../../src/client/state_files.ts";
import { scratchDirectory } from "../scratch.ts";

function row(path: string, kind: KnownEntry["kind"] = "file"): KnownEntry {
  const facts = { sizeBytes: 1, mtimeMs: 1.5, mode: 0o644, version: 3, checksum: "c" };
  return { path, kind, ...facts, inode: 2n ** 64n - 1n, device: 5n };
}

class World implements Disposable {
  readonly #scratch = scratchDirectory();
  readonly path = this.#scratch.path("deep/state.db");
  readonly lost: string[] = [];
  state = this.open();

  open(): WatchState {
    return WatchState.open(this.path, { onLost: (reason) => this.lost.push(reason) });
  }

  reopen(): void {
    this.state.close();
    this.state = this.open();
  }

  paths(directory = ""): string[] {
    return [...this.state.below(directory)].map(({ path }) => path);
  }

  [Symbol.dispose](): void {
    this.state.close();
    this.#scratch[Symbol.dispose]();
  }
}

test("WatchState keeps rows over a restart, numbers of 64 bits too", () => {
  using world = new World();
  world.state.save(row("a"), row("d", "directory"), row("d/b", "link"));
  world.state.setFact("x", "1");
  world.reopen();
  expect(world.state.find("a")).toEqual(row("a"));
  expect(world.state.find("d/b")).toEqual(row("d/b", "link"));
  expect(world.state.find("nothing")).toBeUndefined();
  expect(world.state.findByInode(2n ** 64n - 1n)).toHaveLength(3);
  expect(world.state.fact("x")).toBe("1");
  expect([world.state.count(), world.state.countFiles()]).toEqual([3, 2]);
});

test("WatchState pages through all that is below a directory, in the order of a walk", () => {
  using world = new World();
  const files = Array.from({ length: 1200 }, (_, n) => row(`d/${String(n).padStart(4, "0")}`));
  const others = [row("d", "directory"), row("d.txt"), row("d0"), row("c"), row("dd/x")];
  world.state.save(...files, ...others);
  expect(world.paths("d")).toEqual(files.map(({ path }) => path));
  expect(world.paths().filter((path) => !path.startsWith("d/"))).toEqual([
    ...["c", "d.txt", "d", "d0", "dd/x"],
  ]);
  expect([world.state.hasBelow("d"), world.state.hasBelow("c")]).toEqual([true, false]);
});

test("WatchState sorts any names as walks do", () => {
  const name = fc.string({ minLength: 1, maxLength: 4, unit: "binary" })
    .filter((text) => text.isWellFormed() && !/[/\0]/.test(text));
  using world = new World();
  fc.assert(
    fc.property(fc.uniqueArray(name, { maxLength: 8 }), (names) => {
      for (const path of world.paths()) world.state.forget(path);
      const rows = names.map((each, index) => row(each, index % 2 ? "directory" : "file"));
      world.state.save(...rows);
      const sorted = rows.map((each) => ({ path: each.path, key: keyOf(each) }))
        .sort((left, right) => compareBytes(left.key, right.key));
      expect(world.paths()).toEqual(sorted.map(({ path }) => path));
    }),
  );
});

test("WatchState moves and forgets a directory with what is below it, and nothing else", () => {
  using world = new World();
  world.state.save(row("ä", "directory"), row("ä/b"), row("ä/c/d"), row("ä.txt"), row("äx"));
  world.state.save(row("z/old"));
  world.state.move("ä", "z");
  expect(world.paths()).toEqual(["z", "z/b", "z/c/d", "ä.txt", "äx"]);
  expect(world.state.find("z/c/d")?.version).toBe(3);
  world.state.forget("z");
  expect(world.paths()).toEqual(["ä.txt", "äx"]);
});

test("WatchState gives a disk its new number", () => {
  using world = new World();
  world.state.save(row("a"), { ...row("b"), device: 6n });
  world.state.renumberDevice(5n, 9n);
  expect([world.state.find("a")?.device, world.state.find("b")?.device]).toEqual([9n, 6n]);
});

test("WatchState refuses a second opening, until the first is closed", () => {
  using world = new World();
  expect(() => world.open()).toThrow(/another tydfs watch of this directory/);
  world.reopen();
});

test("WatchState begins anew with a database that is damaged or of another format", () => {
  using world = new World();
  world.state.save(row("a"));
  world.state.close();
  const database = new Database(world.path);
  database.run("PRAGMA user_version = 99");
  database.close();
  world.state = world.open();
  expect(world.paths()).toEqual([]);
  world.state.close();
  writeFileSync(world.path, "this is not a database".repeat(100));
  world.state = world.open();
  expect(world.paths()).toEqual([]);
  expect(world.lost).toEqual(["it has format 99, not 1", expect.stringMatching(/database/)]);
  expect(existsSync(`${world.path}.damaged`)).toBe(true);
});

test("stateDirectory follows XDG_STATE_HOME, and stateName tells all parts apart", () => {
  expect(stateDirectory({ XDG_STATE_HOME: "/s" }, "/root")).toBe("/s/tydfs");
  expect(stateDirectory({ XDG_STATE_HOME: "s", HOME: "/h" }, "/root")).toBe(
    "/h/.local/state/tydfs",
  );
  expect(stateDirectory({}, "/root")).toBe("/root/.local/state/tydfs");
  expect(stateName("a", "bc")).not.toBe(stateName("ab", "c"));
  expect(stateName("a")).toMatch(/^[0-9a-f]{16}$/);
});
