/** What lines say of packs: see `World`. */
import type { Operation, PackedFacts, PackMove, WishFacts } from "../../src/catalog/operation.ts";
import { formatLabels } from "../../src/wire/labels.ts";
import { fileChecksum } from "../../src/wire/sums.ts";
import { fileAt, idOf, policyOf, sumsFor, type World } from "./world.ts";

type Move = Extract<Operation, { kind: "pack.move" }>;

/** Does what a line says of a pack; undefined: it says something else. */
export function runPackLine(
  world: World,
  verb: string,
  words: string[],
  flags: string[],
): string | undefined {
  const [pack = "", second = "", third = ""] = words;
  switch (verb) {
    case "packed":
      // packed PACK SIZE KEEPERS: a report with the ticket of a pack; -s the keeper alone says so
      world.store(pack, Number(second), third.split(","), {
        packed: true,
        ...(flags.includes("-s") ? { stray: true } : {}),
      });
      return "ok";
    case "fill":
      return fill(world, pack, readFiles(second, flags.includes("-x")), third, words[3]);
    case "squeeze": {
      // squeeze PACK FROM@OFFSET+LENGTH>OFFSET,… [GOAL [REQUIRE]]: of all, or who wants this; -lN
      // so many at a time
      const moves = second.split(",").map(readMove);
      const wish = third === "" ? {} : { wish: wishOf(third, words[3]) };
      const limit = flags.find((flag) => flag.startsWith("-l"))?.slice(2);
      const bound = limit === undefined ? {} : { limit: Number(limit) };
      return `${moveAll(world, { to: idOf(pack), minCopies: 2, ...wish, ...bound }, moves)} moved`;
    }
    case "settle":
      // settle PACK
      world.apply({ kind: "pack.settle", chunks: [idOf(pack)], atMs: world.nowMs });
      return describeWish(world, pack);
    case "wish":
      // wish PACK: how it is held
      return describeWish(world, pack);
    case "lives": {
      // lives PACK: what it counts, and what lies where
      const sql = "SELECT no, live FROM chunk WHERE id = ?";
      const [row] = world.database.prepare(sql).values(idOf(pack));
      const places = world.reader.packedWishes(Number(row?.[0]), 100)
        .map(({ chunkOffset, length }) => `${length}@${chunkOffset}`);
      return [`${row?.[1]} bytes`, ...places].join(" ");
    }
    default:
      return undefined;
  }
}

/** Moves all, as compaction does: one operation after the other. */
function moveAll(
  world: World,
  facts: Pick<Move, "to" | "minCopies" | "wish" | "limit">,
  moves: PackMove[],
): number {
  let sum = 0;
  let rest = moves;
  let after: Move["after"];
  for (;;) {
    const from = { moves: rest, ...(after === undefined ? {} : { after }) };
    const operation: Move = { kind: "pack.move", ...facts, ...from, atMs: world.nowMs };
    const { moved, next } = world.apply(operation);
    sum += moved;
    if (next === undefined) return sum;
    rest = rest.slice(next.index);
    after = next.after;
  }
}

function wishOf(goal: string, require: string | undefined): WishFacts {
  const policy = require === undefined ? {} : { policy: policyOf(require) };
  return { goal: Number(goal), ...policy };
}

function describeWish(world: World, pack: string): string {
  const { goal = 0, policy = 0, parted = 0 } = world.reader.chunk(idOf(pack)) ?? {};
  const require = formatLabels(world.reader.policy(policy)?.require ?? {});
  const words = ["", ", parted", ", torn"][parted] ?? "";
  return `${goal} copies on ${require === "" ? "any" : require}${words}`;
}

/** fill PACK PATH=SIZE[@OFFSET],… [GOAL [REQUIRE]]: each is made, or its code is told. */
function fill(
  world: World,
  pack: string,
  files: PackedFacts[],
  goal: string,
  require: string | undefined,
): string {
  const result = world.apply({
    kind: "pack.commit",
    chunk: idOf(pack),
    goal: Number(goal === "" ? 3 : goal),
    minCopies: 2,
    ...(require === undefined ? {} : { policy: policyOf(require) }),
    files,
    atMs: world.nowMs,
  });
  return ["filled", ...result.files.map((file) => file.ok ? "made" : file.code)].join(" ");
}

/** `PATH=SIZE[@OFFSET],…`; without an offset a file lies behind the one before it. */
export function readFiles(text: string, exclusive = false): PackedFacts[] {
  let end = 0;
  return text.split(",").map((word) => {
    const [path = "", place = ""] = word.split("=");
    const [size, at] = place.split("@").map(Number);
    const [sizeBytes, offset] = [size ?? 0, at ?? end];
    end = offset + sizeBytes;
    const checksum = fileChecksum([sumsFor(path, sizeBytes)]);
    return { ...fileAt(path, exclusive), offset, sizeBytes, checksum };
  });
}

function readMove(word: string): PackMove {
  const [, from = "", fromOffset, length, toOffset] = /^(.*)@(.*)\+(.*)>(.*)$/.exec(word) ?? [];
  const numbers = { fromOffset: Number(fromOffset), length: Number(length) };
  return { from: idOf(from), ...numbers, toOffset: Number(toOffset) };
}
