/** Locks on files: one holder at a time, also across processes, and none after a death. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { takeFileLock } from "../../src/base/file_lock.ts";

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
    const holder = `import { takeFileLock } from ${JSON.stringify(SOURCE)};
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
