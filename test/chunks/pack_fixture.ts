/** Packs as clients build them, and random ones. */
import fc from "fast-check";
import type { PackedFile } from "../../src/wire/pack.ts";
import { encodeManifest } from "../../src/wire/pack.ts";

/** A file that is to go into a pack. */
export interface SmallFile extends Partial<PackedFile> {
  path: string;
  bytes: Uint8Array;
}

/** A pack of these files, one behind the other, and what its manifest says. */
export function makePack(small: readonly SmallFile[]): { bytes: Uint8Array; files: PackedFile[] } {
  let offset = 0;
  const files = small.map(({ bytes, ...facts }): PackedFile => {
    const file = {
      offset,
      sizeBytes: bytes.length,
      mode: 0o644,
      mtimeMs: 1,
      owner: "ann",
      ...facts,
    };
    offset += bytes.length;
    return file;
  });
  const bytes = new Uint8Array(
    Buffer.concat([...small.map((each) => each.bytes), encodeManifest(files)]),
  );
  return { bytes, files };
}

const part = fc.string({ unit: "binary", minLength: 1, maxLength: 20 })
  .filter((name) => !/[/\0]/.test(name) && name !== "." && name !== ".." && name.isWellFormed());

/** Paths of any characters that a name may have. */
export const anyPath: fc.Arbitrary<string> = fc.array(part, { minLength: 1, maxLength: 4 })
  .map((parts) => `/${parts.join("/")}`);

/** Entries of a manifest of which each lies within `packBytes`. */
export function anyFiles(packBytes: number): fc.Arbitrary<PackedFile[]> {
  const file = fc.record({
    path: anyPath,
    offset: fc.nat({ max: Math.floor(packBytes / 2) }),
    sizeBytes: fc.nat({ max: Math.floor(packBytes / 2) }),
    mode: fc.nat({ max: 0o177777 }),
    mtimeMs: fc.integer({ min: -1e15, max: 1e15 }),
    owner: fc.string({ unit: "binary", maxLength: 10 }).filter((text) => text.isWellFormed()),
  });
  const placed = fc.record({ placedMs: fc.nat({ max: 1e15 }) });
  return fc.array(fc.oneof(file, fc.tuple(file, placed).map(([a, b]) => ({ ...a, ...b }))), {
    maxLength: 20,
  });
}
