/**
 * Random sessions against a model that keeps paths and chunks in plain maps, with every invariant
 * checked after each.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { KEEPERS, Model } from "./model.ts";
import type { Step } from "./model_step.ts";
import { idOf, World } from "./world.ts";

// Names that sort differently as directories: "/" lies between "." and "0".
const name = fc.constantFrom("a", "a.b", "a0", "é");
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => "/" + parts.join("/"));
const anyPath = fc.oneof({ weight: 20, arbitrary: path }, {
  weight: 1,
  arbitrary: fc.constant("/"),
});
// Where packed files are met again by what follows.
const near = fc.constantFrom("/a", "/a.b", "/a0");
const upload = fc.constantFrom("u", "v");
const keeper = fc.nat({ max: KEEPERS - 1 });
const flag = fc.boolean();
const goal = fc.constantFrom(3, 3, 4, 5);
const require = fc.constantFrom("_", "kind=a", "kind=b");

function step<V extends Step["verb"]>(
  weight: number,
  verb: V,
  fields: { [K in keyof Omit<Extract<Step, { verb: V }>, "verb">]: fc.Arbitrary<unknown> },
): { weight: number; arbitrary: fc.Arbitrary<Step> } {
  const arbitrary = fc.record({ verb: fc.constant(verb), ...fields });
  return { weight, arbitrary: arbitrary as unknown as fc.Arbitrary<Step> };
}

const steps = fc.array(
  fc.oneof(
    step(6, "put", { path, exclusive: flag }),
    step(3, "pack", { keepers: fc.uniqueArray(keeper, { minLength: 2, maxLength: KEEPERS }) }),
    step(6, "fill", {
      pick: fc.nat({ max: 3 }),
      exclusive: fc.nat({ max: 3 }).map((one) => one === 0),
      files: fc.array(fc.record({ path: fc.oneof(path, near), size: fc.nat({ max: 5 }) }), {
        minLength: 1,
        maxLength: 4,
      }),
    }),
    step(4, "squeeze", {
      pick: fc.nat({ max: 3 }),
      froms: fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 3 }),
      some: fc.option(fc.nat({ max: 9 }), { nil: undefined }),
      limit: fc.integer({ min: 1, max: 5 }),
    }),
    step(2, "settle", { pick: fc.nat({ max: 3 }) }),
    step(2, "cp", { path: near, to: near, replace: fc.constant(true) }),
    step(2, "rm", { path: near, recursive: flag }),
    step(3, "apply", { path: near, goal, require }),
    step(2, "mkdir", { path: anyPath, parents: flag }),
    step(3, "rm", { path: anyPath, recursive: flag }),
    step(4, "mv", { path: anyPath, to: anyPath, replace: flag }),
    step(2, "cp", { path: anyPath, to: anyPath, replace: flag }),
    step(3, "begin", { upload, path, exclusive: flag, resume: flag, idle: flag }),
    step(2, "begin", {
      upload,
      path: fc.constant("/a"),
      exclusive: fc.constant(false),
      resume: fc.constant(true),
      idle: flag,
    }),
    step(1, "touch", { upload }),
    step(6, "place", {
      upload,
      seq: fc.nat({ max: 2 }),
      small: fc.nat({ max: 3 }).map((one) => one === 0),
      late: fc.nat({ max: 3 }).map((one) => one === 0),
      keepers: fc.uniqueArray(keeper, { minLength: 1, maxLength: KEEPERS }),
    }),
    step(4, "commit", { upload, chunks: fc.nat({ max: 3 }) }),
    step(2, "abort", { upload, keep: flag }),
    step(4, "undelete", { path: anyPath, to: path, replace: flag }),
    step(3, "undelete", {
      path: fc.constantFrom("/a", "/a.b"),
      to: fc.constantFrom("/a", "/a.b"),
      replace: flag,
    }),
    step(1, "empty", { path: anyPath }),
    step(1, "purge", { limit: fc.constant(1000) }),
    step(2, "gone", { keeper, pick: fc.nat({ max: 50 }) }),
    step(2, "forget", { pick: fc.nat({ max: 50 }) }),
    step(2, "relabel", { keeper, label: fc.constantFrom("kind=a", "kind=b") }),
    step(3, "apply", { path, goal, require }),
    step(1, "drain", { keeper, on: flag }),
    step(2, "remove", { keeper, force: flag }),
    step(1, "inventory", {
      keeper,
      picks: fc.array(flag, { minLength: 1, maxLength: 5 }),
      stray: flag,
    }),
  ),
  { minLength: 20, maxLength: 80, size: "max" },
);

test("the catalog does what a model does, and keeps its invariants", () => {
  fc.assert(
    fc.property(steps, (session) => {
      using world = new World();
      world.joinKeepers(KEEPERS);
      const model = new Model();
      const said: string[] = [];
      for (const one of session) {
        const expected = model.take(one);
        if (expected === undefined) continue;
        said.push(expected.line);
        const verdict = world.do(expected.line);
        const told = /^(filled |\d+ moved)/.test(verdict) ? verdict : "ok";
        const code = /^([a-z-]+): [A-Z]/.exec(verdict)?.[1] ?? told;
        expect(`${said.join("\n")}\n→ ${code}`).toBe(`${said.join("\n")}\n→ ${expected.verdict}`);
      }
      compare(world, model);
    }),
    { numRuns: 120 },
  );
}, 30_000);

function compare(world: World, model: Model): void {
  expect(world.check()).toEqual([]);
  const entries = [...model.paths].filter(([path]) => path !== "/");
  const keys = entries.map(([path, { kind }]) => kind === "directory" ? path + "/" : path);
  keys.sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
  expect(world.do("ls -r /")).toBe(keys.join(" "));
  for (const [path, entry] of entries) {
    if (entry.kind === "directory") continue;
    const { extents, size } = world.reader.locate(path, undefined, 0, 10);
    expect(extents.map(({ chunk }) => chunk)).toEqual(entry.chunks.map(idOf));
    const offsets = entry.chunks.map(() => entry.place?.offset ?? 0);
    expect(extents.map(({ chunkOffset }) => chunkOffset)).toEqual(offsets);
    expect(size).toBe(model.bytesOf(entry));
  }
  compareMany(world, entries.map(([path]) => path));
  const files = entries.filter(([, entry]) => entry.kind === "file").length;
  const trashed = (list: { path: string; replaced: boolean }[]) =>
    list.map(({ path, replaced }) => `${path} ${replaced}`).sort();
  expect(trashed(world.reader.trash("/", undefined, 1000))).toEqual(trashed(model.trash));
  expect(world.reader.counts()).toMatchObject({ files, directories: entries.length - files });
  const { events, forgotten, latest } = world.reader.events(0, 1000);
  expect(events.map(({ kind, path, to, entry }) => {
    const what = `${kind} ${path}${entry === "directory" ? "/" : ""}`;
    return to === undefined ? what : `${what} → ${to}`;
  })).toEqual(model.log);
  expect([forgotten, latest]).toEqual([0, model.log.length]);
  for (const [id, { path, paused }] of model.uploads) {
    expect(world.reader.upload(idOf(id))).toMatchObject({ path, paused });
  }
  for (const [label, keepers] of model.chunks) {
    const chunk = world.reader.chunk(idOf(label));
    expect([label, chunk?.refs, chunk?.keepers]).toEqual([
      label,
      model.refs(label),
      [...keepers].sort(),
    ]);
  }
  const rows = world.database.prepare("SELECT count(*) FROM chunk").values();
  expect(rows).toEqual([[model.chunks.size]]);
  expect(world.reader.keepers().map(({ number, draining }) => [number, draining])).toEqual(
    [...Array(KEEPERS).keys()].filter((number) => !model.removed.has(number))
      .map((number) => [number, model.draining.has(number)]),
  );
  compareMisplaced(world, model);
}

/** Many at once are told what each is told alone. */
function compareMany({ reader }: World, known: string[]): void {
  const paths = [...known, "/", "/none", ...known.map((path) => path + "/none")];
  const { files, chunks } = reader.locateMany(paths);
  const single = paths.map((path) => {
    if (reader.entry(path)?.kind !== "file") return { kind: "other" };
    const { extents, more: _more, size: sizeBytes, goal: _goal, owner: _owner, ...facts } = reader
      .locate(path, undefined, 0, 10);
    if (extents.length > 1) return { kind: "other" };
    const { chunkOffset = 0, chunk, chunkBytes, sums, keepers } = extents[0] ?? {};
    const whole = { id: chunk, sizeBytes: chunkBytes, sums, keepers };
    const where = sizeBytes === 0 ? undefined : whole;
    return { kind: "file", ...facts, sizeBytes, chunkOffset, chunk: where };
  });
  const many = files.map((file) => {
    if (file.kind === "other") return file;
    const { no: _no, ...chunk } = chunks[file.chunk ?? -1] ?? { no: 0 };
    return { ...file, chunk: file.chunk === undefined ? undefined : chunk };
  });
  expect(many as unknown).toEqual(single);
  expect(new Set(chunks.map(({ id }) => id)).size).toBe(chunks.length);
}

/** Copies of keepers with new labels are looked at a few at a time: from then on all is exact. */
function compareMisplaced(world: World, model: Model): void {
  for (let keeper = 0; keeper < KEEPERS; keeper++) {
    for (let times = 0; world.do(`recount k${keeper} 2`) === "more" && times < 50; times++);
  }
  expect(world.reader.relabelledKeeper()).toBeUndefined();
  expect(world.check()).toEqual([]);
  for (const label of model.chunks.keys()) {
    const chunk = world.reader.chunk(idOf(label));
    expect([label, chunk?.misplaced]).toEqual([label, model.misplaced(label)]);
    const wishes = model.wishes.get(label);
    if (chunk?.packed !== 1 || chunk.refs === 0 || wishes === undefined) continue;
    // No file is held under less than it wants, and one of a kind under just that.
    const goals = [...wishes].map((wish) => Number(wish.split(" ")[0]));
    const parted = model.requiresOf(label).length > 1 ? 2 : wishes.size > 1 ? 1 : 0;
    expect([label, chunk.goal, chunk.parted]).toEqual([label, Math.max(...goals), parted]);
  }
}
