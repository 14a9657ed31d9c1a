/** Local files that are read while others write to them. */
import { expect, test } from "bun:test";
import { statSync, writeFileSync } from "node:fs";
import { LocalSource } from "../../src/client/local_files.ts";
import { scratchDirectory } from "./scratch.ts";

test("LocalSource has a time that no later change of the file can have, too", async () => {
  using scratch = scratchDirectory();
  const path = scratch.path("a");
  for (let times = 0; times < 20; times++) {
    writeFileSync(path, "old");
    const source = await LocalSource.open(path);
    await source.read(new Uint8Array(3), 0);
    await source.check();
    writeFileSync(path, "new");
    // Trees take times that differ by less for the same: the next run would leave the file.
    expect(Number(statSync(path, { bigint: true }).mtimeMs) - source.mtimeMs)
      .toBeGreaterThanOrEqual(2);
    await expect(source.check()).rejects.toMatchObject({ code: "changed" });
    await source.close();
  }
});
