/** A snapshot's file: what was written comes back, and nothing that was harmed passes. */
import { expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import { readHead, readSnapshot, writeSnapshot } from "../../src/master/snapshot_file.ts";
import type { SnapshotHead } from "../../src/wire/archive.ts";
import { fileChecksum, sumsOf } from "../../src/wire/sums.ts";

const random = seededRandom(11);

class Memory {
  readonly parts: Uint8Array[] = [];

  write(bytes: Uint8Array): void {
    this.parts.push(bytes.slice());
  }

  bytes(): Buffer {
    return Buffer.concat(this.parts);
  }
}

async function* inParts(bytes: Uint8Array, step: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += step) yield bytes.slice(at, at + step);
}

function headOf(sizeBytes: number): SnapshotHead {
  return {
    ...{ format: 1, catalog: "c".repeat(32), epoch: 3, sequence: 9, hash: random.bytes(32) },
    ...{ cluster: "main", key: "ab".repeat(32), sizeBytes, madeMs: 5 },
  };
}

async function made(database: Uint8Array) {
  const memory = new Memory();
  const head = headOf(database.length);
  const facts = await writeSnapshot(head, new Blob([database.slice()]), memory);
  return { head, ...facts, bytes: memory.bytes() };
}

test("readSnapshot gives back what writeSnapshot made, in whatever parts it comes", async () => {
  for (const length of [0, 1, 4 * 2 ** 20, 9_000_001]) {
    const database = random.bytes(Math.min(length, 500_000));
    const whole = new Uint8Array(length).map((_, at) => database[at % database.length] ?? 0);
    const { head, sizeBytes, checksum, bytes } = await made(whole);
    expect(sizeBytes).toBe(bytes.length);
    expect(checksum).toBe(fileChecksum([sumsOf(bytes)]));
    expect(readHead(bytes.subarray(0, 4096))).toEqual(head);
    for (const step of [length < 100 ? 1 : 70_001, 2 ** 24]) {
      const memory = new Memory();
      expect(await readSnapshot(inParts(bytes, step), checksum, memory)).toEqual(head);
      expect(Buffer.compare(memory.bytes(), whole)).toBe(0);
    }
  }
});

test("readSnapshot refuses what is short, long, flipped or something else", async () => {
  const { checksum, bytes } = await made(random.bytes(300_000));
  const flipped = Buffer.from(bytes);
  flipped[200_000] = (flipped[200_000] ?? 0) ^ 4;
  const wrong = [
    bytes.subarray(0, -1),
    bytes.subarray(0, 20),
    Buffer.concat([bytes, Buffer.from("more")]),
    flipped,
    Buffer.from("This is something else altogether.".repeat(100)),
    Buffer.alloc(0),
  ];
  for (const harmed of wrong) {
    const read = readSnapshot(inParts(harmed, 4096), checksum, new Memory());
    await expect(read).rejects.toMatchObject({ code: "corrupt" });
  }
  const other = readSnapshot(inParts(bytes, 4096), "0".repeat(16), new Memory());
  await expect(other).rejects.toThrow("its checksum is another");
});
