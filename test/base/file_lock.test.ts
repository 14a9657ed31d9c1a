/** Locks on files: one holder at a time, also across processes, and none after a death. */
import { expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lockOpenFile, takeFileLock } from "../../src/base/file_lock.ts";

const SOURCE = join(import.meta.dir, "../../src/base/file_lock.ts");

test("takeFileLock has one holder at a time, and none after release", () => {
  const directory = mkdtempSync(join(tmpdir(), "tydfs-lock-"));
  try {
    const path = join(directory, "lock");
    const lock = takeFileLock(path);
    expect(lock).toBeDefined();
    expect(takeFileLock(path)).toBeUndefined();
    lock?.release();
    lock?.release();
    const next = takeFileLock(path);
    expect(next).toBeDefined();
    next?.release();
    expect(() => takeFileLock(join(directory, "absent", "lock"))).toThrow("Cannot lock");
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("takeFileLock sees another process, and its death", async () => {
  const directory = mkdtempSync(join(tmpdir(), "tydfs-lock-"));
  try {
    const path = join(directory, "lock");
    const holder = `import { lockOpenFile, takeFileLock } from ${JSON.stringify(SOURCE)};
      console.log(takeFileLock(${JSON.stringify(path)}) === undefined ? "refused" : "held");
      setInterval(() => {}, 1000);`;
    const child = Bun.spawn([process.execPath, "-e", holder], { stdout: "pipe" });
    const { value } = await child.stdout.getReader().read();
    expect(new TextDecoder().decode(value).trim()).toBe("held");
    expect(takeFileLock(path)).toBeUndefined();
    child.kill("SIGKILL");
    await child.exited;
    const lock = takeFileLock(path);
    expect(lock).toBeDefined();
    lock?.release();
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("lockOpenFile excludes other openings of the file until its own is closed", () => {
  const directory = mkdtempSync(join(tmpdir(), "tydfs-lock-"));
  try {
    const [first, second] = [1, 2].map(() => openSync(join(directory, "file"), "a+"));
    if (first === undefined || second === undefined) throw new Error("no files");
    expect(lockOpenFile(first)).toBe(true);
    expect(lockOpenFile(second)).toBe(false);
    closeSync(first);
    expect(lockOpenFile(second)).toBe(true);
    closeSync(second);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
