/** One suite over the system's disk and the simulated one: they do the same, fault for fault. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededRandom } from "../../src/base/random.ts";
import type { Disk } from "../../src/chunks/disk.ts";
import { systemDisk } from "../../src/chunks/disk.ts";
import { SimDisk, SOUND } from "../sim/disk.ts";
import { Drive } from "../sim/drive.ts";
import { SimProcess } from "../sim/process.ts";
import { VirtualTime } from "../sim/virtual_time.ts";
import { pump } from "./pump.ts";

interface OpenDisk {
  disk: Disk;
  [Symbol.dispose](): void;
}

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

/** What a call fails with, as the system words it. */
async function codeOf(task: () => unknown): Promise<string> {
  try {
    await task();
    return "none";
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

function suite(name: string, open: () => OpenDisk): void {
  const sync = { sync: true };

  describe(name, () => {
    test("write makes a file of its pieces, and refuses one that is there", async () => {
      using world = open();
      const { disk } = world;
      await disk.write("a", [bytesOf("one"), bytesOf("two")], sync);
      expect(textOf(await disk.read("a"))).toBe("onetwo");
      expect(disk.sizeOf("a")).toBe(6);
      expect(await codeOf(() => disk.write("a", [], sync))).toBe("EEXIST");
      expect(await codeOf(() => disk.write("no/such", [], sync))).toBe("ENOENT");
    });

    test("receive writes a request's body in place of what was there", async () => {
      using world = open();
      const { disk } = world;
      await disk.write("a", [bytesOf("something long")], sync);
      const request = new Request("http://x/", { method: "PUT", body: "short" });
      await disk.receive("a", request);
      expect(textOf(await disk.read("a"))).toBe("short");
    });

    test("what is not there is undefined, false, empty or ENOENT", async () => {
      using world = open();
      const { disk } = world;
      expect(await disk.read("a")).toBeUndefined();
      expect(disk.sizeOf("a")).toBeUndefined();
      expect(await disk.remove("a")).toBe(false);
      expect(await disk.list("a")).toEqual([]);
      expect(await codeOf(() => disk.open("a"))).toBe("ENOENT");
      expect(await codeOf(() => disk.rename("a", "b"))).toBe("ENOENT");
      expect(await codeOf(() => disk.syncDirectory("a"))).toBe("ENOENT");
    });

    test("an open file is read from any position, also when its name has gone", async () => {
      using world = open();
      const { disk } = world;
      await disk.write("a", [bytesOf("0123456789")], { sync: false });
      const file = disk.open("a");
      await file.datasync();
      const buffer = new Uint8Array(4);
      expect(file.readNow(buffer, 8)).toBe(2);
      expect(textOf(buffer.subarray(0, 2))).toBe("89");
      expect(await disk.remove("a")).toBe(true);
      expect(await file.read(buffer, 3)).toBe(4);
      expect(textOf(buffer)).toBe("3456");
      expect(await file.read(buffer, 10)).toBe(0);
      await file.close();
    });

    test("rename takes the place of what is there", async () => {
      using world = open();
      const { disk } = world;
      disk.makeDirectory("d");
      await disk.write("a", [bytesOf("new")], sync);
      await disk.write("d/b", [bytesOf("old")], sync);
      disk.rename("a", "d/b");
      await disk.syncDirectory("d");
      expect(textOf(await disk.read("d/b"))).toBe("new");
      expect(disk.sizeOf("a")).toBeUndefined();
    });

    test("makeDirectory makes those above it too, and says what is new", async () => {
      using world = open();
      const { disk } = world;
      expect(disk.makeDirectory("d/e/f")).toBe(true);
      expect(disk.makeDirectory("d/e")).toBe(false);
      expect(disk.sizeOf("d/e")).toBeGreaterThanOrEqual(0);
      await disk.write("d/z", [], sync);
      await disk.write("d/c", [], sync);
      expect(await disk.list("d")).toEqual(["c", "e", "z"]);
      expect(await disk.list(".")).toEqual(["d"]);
      await Promise.all([".", "d", "d/e"].map((path) => disk.syncDirectory(path)));
    });

    test("body gives the bytes, whole or in part", async () => {
      using world = open();
      const { disk } = world;
      await disk.write("a", [bytesOf("0123456789")], sync);
      expect(textOf(await disk.body("a").bytes())).toBe("0123456789");
      expect(textOf(await disk.body("a").slice(2, 5).bytes())).toBe("234");
    });

    test("space tells a size, and no more free than that", async () => {
      using world = open();
      const { totalBytes, freeBytes } = await world.disk.space();
      expect(freeBytes).toBeGreaterThan(0);
      expect(totalBytes).toBeGreaterThanOrEqual(freeBytes);
    });
  });
}

suite("systemDisk", () => {
  const directory = mkdtempSync(join(tmpdir(), "tydfs-disk-"));
  return {
    disk: systemDisk(directory),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
});

function simulated(seed = 7): OpenDisk & { drive: Drive } {
  const time = new VirtualTime();
  const process = new SimProcess("keeper", "keeper", time, { offsetMs: 0 });
  const drive = new Drive(seededRandom(seed));
  const disk = new SimDisk({ drive, process, random: seededRandom(8), faults: () => SOUND });
  return { disk, drive, [Symbol.dispose]: pump(time) };
}

suite("SimDisk", () => simulated());

describe("SimDisk", () => {
  test("keeps through a power loss what was synced, name and bytes, and nothing for sure else", async () => {
    const left = new Set<string>();
    for (let round = 0; round < 40; round++) {
      using world = simulated(round);
      const { disk, drive } = world;
      disk.makeDirectory("d");
      await disk.syncDirectory(".");
      await disk.write("d/safe", [bytesOf("safe")], { sync: true });
      await disk.syncDirectory("d");
      await disk.write("d/named", [bytesOf("named")], { sync: false });
      await disk.write("d/nameless", [bytesOf("nameless")], { sync: true });
      expect(["d/safe", "d/named", "d/nameless"].map((path) => drive.isDurable(path)))
        .toEqual([true, false, false]);
      drive.losePower();
      expect(textOf(await disk.read("d/safe"))).toBe("safe");
      left.add((await disk.list("d")).join());
    }
    expect(left.size).toBeGreaterThan(1);
    expect(left.has("safe")).toBe(true);
  });

  test("keeps a name that was used anew, whatever becomes of the rename before", async () => {
    for (let round = 0; round < 10; round++) {
      using world = simulated(round);
      const { disk, drive } = world;
      for (const path of ["d", "aside"]) disk.makeDirectory(path);
      await disk.syncDirectory(".");
      await disk.write("d/a", [bytesOf("old")], { sync: true });
      await disk.syncDirectory("d");
      disk.rename("d/a", "aside/a");
      await disk.write("d/a", [bytesOf("new")], { sync: true });
      await disk.syncDirectory("d");
      drive.losePower();
      expect(textOf(await disk.read("d/a"))).toBe("new");
    }
  });

  test("gives up the pages of a sync that failed: the next one helps nothing", async () => {
    const time = new VirtualTime();
    using _stop = { [Symbol.dispose]: pump(time) };
    const process = new SimProcess("keeper", "keeper", time, { offsetMs: 0 });
    const drive = new Drive(seededRandom(7));
    const faults = { ...SOUND, syncErrors: 1 };
    const disk = new SimDisk({ drive, process, random: seededRandom(8), faults: () => faults });
    await disk.write("a", [bytesOf("bytes")], { sync: false });
    const file = disk.open("a");
    expect(await codeOf(() => file.datasync())).toBe("EIO");
    faults.syncErrors = 0;
    await file.datasync();
    await disk.syncDirectory(".");
    expect(drive.isDurable("a")).toBe(false);
  });
});
