/** Writing below a directory: nothing goes through a symbolic link, nothing is half replaced. */
import { expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { seededRandom } from "../../../src/base/random.ts";
import { LocalWriter } from "../../../src/client/trees/local_writer.ts";
import { scratchDirectory } from "../scratch.ts";

function world() {
  const scratch = scratchDirectory();
  const writer = new LocalWriter(scratch.path("root"), seededRandom(1));
  return { ...scratch, writer };
}

/** The code of what a task throws. */
function codeOf(task: () => unknown): unknown {
  try {
    task();
    return undefined;
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}

test("prepareFile makes the directories above, and tells the local path", async () => {
  using w = world();
  expect(w.writer.prepareFile("a/b/c")).toBe(w.path("root/a/b/c"));
  expect(statSync(w.path("root/a/b")).isDirectory()).toBe(true);
  expect(existsSync(w.path("root/a/b/c"))).toBe(false);
});

test("no path leads through a symbolic link below the root, not even one inside it", async () => {
  using w = world();
  mkdirSync(w.path("outside"));
  mkdirSync(w.path("root/real"), { recursive: true });
  symlinkSync("../outside", w.path("root/evil"));
  symlinkSync("real", w.path("root/inner"));
  for (const path of ["evil/x", "evil/deep/x", "inner/x"]) {
    expect(codeOf(() => w.writer.prepareFile(path))).toBe("denied");
    await expect(w.writer.makeLink(path, "t", 0)).rejects.toMatchObject({ code: "denied" });
    expect(codeOf(() => w.writer.makeDirectory(path))).toBe("denied");
    await expect(w.writer.setFacts(path, { mode: 0 })).rejects.toMatchObject({ code: "denied" });
    await expect(w.writer.remove(path, "file")).rejects.toMatchObject({ code: "denied" });
  }
  expect(codeOf(() => w.writer.makeDirectory("evil"))).toBe("denied");
  expect(readdirSync(w.path("outside"))).toEqual([]);
});

test("a link made by the same run redirects nothing that comes later", async () => {
  using w = world();
  mkdirSync(w.path("outside"));
  await w.writer.makeLink("evil", w.path("outside"), 0);
  expect(codeOf(() => w.writer.prepareFile("evil/x"))).toBe("denied");
  expect(readdirSync(w.path("outside"))).toEqual([]);
});

test("the root itself may be a link: the user has named it", async () => {
  using w = world();
  mkdirSync(w.path("real"));
  symlinkSync("real", w.path("root"));
  w.writer.makeDirectory("a");
  expect(statSync(w.path("real/a")).isDirectory()).toBe(true);
});

test("makeLink replaces files and links, never what they lead to, and keeps its time", async () => {
  using w = world();
  mkdirSync(w.path("root"));
  writeFileSync(w.path("kept"), "kept");
  symlinkSync("../kept", w.path("root/link"));
  writeFileSync(w.path("root/file"), "old");
  for (const name of ["link", "file"]) {
    await w.writer.makeLink(name, "new", 1_600_000_000_123);
    expect(readlinkSync(w.path(`root/${name}`))).toBe("new");
    expect(lstatSync(w.path(`root/${name}`), { bigint: true }).mtimeMs).toBe(1_600_000_000_123n);
  }
  expect(readFileSync(w.path("kept"), "utf8")).toBe("kept");
  expect(readdirSync(w.path("root"))).toEqual(["link", "file"].sort());
});

test("a directory in the way of a file or link is an error, and so is a file above", async () => {
  using w = world();
  mkdirSync(w.path("root/d"), { recursive: true });
  writeFileSync(w.path("root/f"), "");
  expect(codeOf(() => w.writer.prepareFile("d"))).toBe("is-directory");
  await expect(w.writer.makeLink("d", "x", 0)).rejects.toMatchObject({ code: "is-directory" });
  expect(codeOf(() => w.writer.prepareFile("f/x"))).toBe("not-directory");
  expect(codeOf(() => w.writer.makeDirectory("f"))).toBe("not-directory");
});

test("setFacts gives files, directories and links their mode and time", async () => {
  using w = world();
  w.writer.makeDirectory("d");
  writeFileSync(w.path("root/f"), "");
  writeFileSync(w.path("kept"), "", { mode: 0o600 });
  symlinkSync("../kept", w.path("root/l"));
  for (const name of ["d", "f", "l"]) {
    await w.writer.setFacts(name, { mode: 0o100750, mtimeMs: 1_500_000_000_001 });
    const { mtimeMs } = lstatSync(w.path(`root/${name}`), { bigint: true });
    expect(mtimeMs).toBe(1_500_000_000_001n);
  }
  expect(statSync(w.path("root/d")).mode & 0o777).toBe(0o750);
  expect(statSync(w.path("root/f")).mode & 0o777).toBe(0o750);
  expect(statSync(w.path("kept")).mode & 0o777).toBe(0o600);
});

test("remove takes only what is of the kind, and keeps the time of the directory above", async () => {
  using w = world();
  w.writer.makeDirectory("d");
  writeFileSync(w.path("root/d/f"), "");
  await w.writer.setFacts("d", { mtimeMs: 1_500_000_000_000 });
  expect(await w.writer.remove("d", "file")).toBe(false);
  expect(await w.writer.remove("d/f", "directory")).toBe(false);
  expect(await w.writer.remove("d/none", "file")).toBe(false);
  await expect(w.writer.remove("d", "directory")).rejects.toMatchObject({ code: "not-empty" });
  expect(await w.writer.remove("d/f", "file")).toBe(true);
  expect(statSync(w.path("root/d")).mtimeMs).toBe(1_500_000_000_000);
  expect(await w.writer.remove("d", "directory")).toBe(true);
  expect(readdirSync(w.path("root"))).toEqual([]);
});

test("a name that the file system can't hold is an error of its own", async () => {
  using w = world();
  expect(codeOf(() => w.writer.prepareFile("x".repeat(300)))).toBe("local");
  expect(() => w.writer.prepareFile("x".repeat(300))).toThrow("the name is too long");
});
