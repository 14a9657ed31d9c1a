/** The manifest of a pack: what is encoded is decoded, and what is damaged is told. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { ErrorCode } from "../../src/wire/errors.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import type { PackedFile } from "../../src/wire/pack.ts";
import {
  decodeManifest,
  encodeManifest,
  MANIFEST_END_BYTES,
  manifestLength,
  PACK_BYTES_MAX,
  PACK_FILES_MAX,
} from "../../src/wire/pack.ts";
import { anyFiles, makePack } from "../chunks/pack_fixture.ts";

const PACK_BYTES = PACK_BYTES_MAX;

/** Decodes as a keeper does that has only the bytes. */
function read(manifest: Uint8Array): PackedFile[] | ErrorCode {
  try {
    const length = manifestLength(manifest.subarray(-MANIFEST_END_BYTES));
    if (length > manifest.length) return "corrupt";
    return decodeManifest(manifest.subarray(-length), PACK_BYTES);
  } catch (error) {
    if (error instanceof TydfsError) return error.code;
    throw error;
  }
}

const someFiles = anyFiles(PACK_BYTES / 2);

test("decodeManifest reads what encodeManifest writes", () => {
  fc.assert(fc.property(someFiles, (files) => {
    const manifest = encodeManifest(files);
    expect(manifestLength(manifest.subarray(-MANIFEST_END_BYTES))).toBe(manifest.length);
    expect(decodeManifest(manifest, PACK_BYTES)).toEqual(files);
  }));
});

test("a manifest that lacks its beginning or its end is corrupt, wherever it is cut", () => {
  fc.assert(
    fc.property(someFiles, (files) => {
      const manifest = encodeManifest(files);
      for (let length = 0; length < manifest.length; length++) {
        expect(read(manifest.subarray(0, length))).toBe("corrupt");
        expect(read(manifest.subarray(-length || manifest.length))).toBe("corrupt");
      }
    }),
    { numRuns: 10 },
  );
});

test("a manifest with a flipped bit is corrupt, or of the right form all the same", () => {
  fc.assert(
    fc.property(anyFiles(1000), fc.nat(), (files, at) => {
      const manifest = encodeManifest(files);
      const bit = at % (8 * manifest.length);
      const byte = manifest[bit >> 3] ?? 0;
      const found = read(manifest.with(bit >> 3, byte ^ (1 << (bit & 7))));
      if (found === "corrupt") return;
      // The block sums tell that such a one is damaged.
      if (typeof found === "string") throw new Error(found);
      for (const file of found) expect(file.offset + file.sizeBytes).toBeLessThan(PACK_BYTES);
      expect(read(encodeManifest(found))).toEqual(found);
    }),
    { numRuns: 500 },
  );
});

test("decodeManifest refuses entries that lie outside of the files' bytes, and too many", () => {
  const { bytes, files } = makePack([{ path: "/a", bytes: new Uint8Array(10) }]);
  const manifest = encodeManifest(files);
  expect(decodeManifest(manifest, bytes.length)).toEqual(files);
  expect(() => decodeManifest(manifest, bytes.length - 1)).toThrow("names bytes that it lacks");
  const [file] = files;
  const many = Array.from({ length: PACK_FILES_MAX + 1 }, (_, index) => ({
    ...file,
    path: `/${index}`,
  })) as PackedFile[];
  expect(read(encodeManifest(many.slice(1)))).toHaveLength(PACK_FILES_MAX);
  expect(read(encodeManifest(many))).toBe("corrupt");
});

test("decodeManifest refuses paths that are none", () => {
  for (const path of ["", "/", "a", "/a/../b", "//a", "/a/", "/\0"]) {
    const { files } = makePack([{ path, bytes: new Uint8Array(1) }]);
    expect([path, read(encodeManifest(files))]).toEqual([path, path === "/" ? files : "corrupt"]);
  }
});
