/** The trash from the compiled binary: what was removed or replaced comes back, or goes for good. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { BINARY, MIB, sameBytes, TestCluster, until } from "./harness.ts";
import { Screen } from "./screen.ts";

interface Trashed {
  path: string;
  version: number;
  size: number;
  removedMs: number;
  purgeMs: number;
  replaced: boolean;
}

/** The trash of this one keeps things for long, that of the other for a second. */
let cluster: TestCluster;
let brief: TestCluster;

beforeAll(async () => {
  const times = { TYDFS_TRASH_TTL: "1h", TYDFS_GRACE: "1s", TYDFS_CHUNK_SIZE: "2MiB" };
  cluster = await TestCluster.start({ env: times });
  brief = await TestCluster.start({ keepers: 2, env: { TYDFS_TRASH_TTL: "1s" } });
}, 60_000);
afterAll(async () => {
  await cluster.stop();
  await brief.stop();
});

async function plant(path: string, text: string): Promise<void> {
  const stdin = new TextEncoder().encode(text);
  const { exit, stderr } = await cluster.run(["put", "-q", "-", path], { stdin });
  expect(stderr + exit).toBe("0");
}

async function trash(...args: string[]): Promise<Trashed[]> {
  return JSON.parse(await cluster.ok("trash", "ls", ...args, "--json")) as Trashed[];
}

test("rm is undone by undelete, bit for bit, with mode, time and version", async () => {
  const local = cluster.file("film.bin", 5 * MIB + 3);
  await cluster.ok("put", local, "/films/film.bin");
  const before = await cluster.ok("stat", "/films/film.bin");
  await cluster.ok("rm", "/films/film.bin");
  expect((await cluster.run(["stat", "/films/film.bin"])).exit).toBe(3);
  expect(await cluster.ok("undelete", "/films/film.bin")).toBe(
    'restored "/films/film.bin" · 1 file, 5.0 MiB\n',
  );
  expect(await cluster.ok("stat", "/films/film.bin")).toBe(before);
  const back = join(cluster.dir, "film.back");
  await cluster.ok("get", "/films/film.bin", back);
  expect(await sameBytes(local, back)).toBe(true);
  expect(statSync(back).mtimeMs).toBe(Math.trunc(statSync(local).mtimeMs));
  const again = await cluster.run(["undelete", "/films/film.bin"]);
  expect([again.exit, again.stderr]).toEqual([
    3,
    'tydfs: Cannot restore "/films/film.bin": it is not in the trash, where things stay for 1 h; ' +
    "tydfs trash ls shows what is\n",
  ]);
});

test("rm -r is undone by undelete of the directory, more than a page of files", async () => {
  const many = join(cluster.dir, "many");
  for (let n = 0; n < 700; n++) await Bun.write(join(many, `d${n % 7}`, `f${n}`), `file ${n}`);
  await cluster.ok("put", "-q", "-r", many, "/many");
  await plant("/many/old", "old");
  await cluster.ok("rm", "/many/old");
  const before = await cluster.status();
  await cluster.ok("rm", "-r", "/many");
  await plant("/many/new", "new");
  expect(await cluster.ok("undelete", "/many")).toMatch(/^restored "\/many" · 700 files, /);
  const names = (await cluster.ok("ls", "-R", "/many")).split("\n");
  expect(names).toHaveLength(700 + 7 + 1 + 1);
  expect(await cluster.ok("cat", "/many/d3/f10", "/many/new")).toBe("file 10new");
  const after = await cluster.status();
  expect([after.files, after.bytes]).toEqual([before.files + 1, before.bytes + 3]);
  // Again: the removal before.
  const json = await cluster.ok("undelete", "/many", "--to", "/many/rescued", "--json");
  expect(JSON.parse(json)).toEqual({ path: "/many", to: "/many/rescued", files: 1, bytes: 3 });
  expect(await cluster.ok("cat", "/many/rescued/old")).toBe("old");
}, 60_000);

test("replaced versions lie in the trash, and come back by their number", async () => {
  for (const text of ["one", "two!", "three"]) await plant("/v/f", text);
  const [second, first] = await trash("/v");
  expect([second, first]).toMatchObject([
    { path: "/v/f", size: 4, replaced: true },
    { path: "/v/f", size: 3, replaced: true },
  ]);
  expect((first?.purgeMs ?? 0) - (first?.removedMs ?? 0)).toBe(3_600_000);
  const version = String(first?.version);
  const refused = await cluster.run(["undelete", "/v/f", "--version", version]);
  expect([refused.exit, refused.stderr]).toEqual([
    4,
    'tydfs: Cannot restore "/v/f": a file is there; use --replace, or --to for another place\n',
  ]);
  expect(await cluster.ok("cat", "/v/f")).toBe("three");
  await cluster.ok("undelete", "/v/f", "--version", version, "--replace");
  expect(await cluster.ok("cat", "/v/f")).toBe("one");
  // What it has replaced is in the trash in turn, and is the latest.
  const [latest] = await trash("/v/f");
  expect(latest).toMatchObject({ size: 5, replaced: true });
  expect(await cluster.ok("undelete", "/v/f", "--to", "/v/g")).toBe(
    'restored "/v/f" as "/v/g" · 1 file, 5 B\n',
  );
  expect(await cluster.ok("cat", "/v/g")).toBe("three");
  const unknown = await cluster.run(["undelete", "/v/f", "--version", "999999"]);
  expect([unknown.exit, unknown.stderr]).toEqual([3, expect.stringContaining("version 999999")]);
});

test("undelete takes patterns: files, and directories that were removed", async () => {
  for (const name of ["a.tmp", "b.tmp", "c.mp4", "d1/x", "d2/y"]) await plant(`/p/${name}`, name);
  await cluster.ok("rm", "-r", "/p/*");
  expect(await cluster.ok("undelete", "/p/*.tmp", "/p/d?", "--to", "/q/")).toBe(
    [
      'restored "/p/a.tmp" as "/q/a.tmp" · 1 file, 5 B',
      'restored "/p/b.tmp" as "/q/b.tmp" · 1 file, 5 B',
      'restored "/p/d1" as "/q/d1" · 1 file, 4 B',
      'restored "/p/d2" as "/q/d2" · 1 file, 4 B',
      "",
    ].join("\n"),
  );
  expect(await cluster.ok("ls", "-R", "/q")).toBe(
    "/q/a.tmp\n/q/b.tmp\n/q/d1/\n/q/d1/x\n/q/d2/\n/q/d2/y\n",
  );
  const none = await cluster.run(["undelete", "/p/*.tmp"]);
  expect([none.exit, none.stderr]).toEqual([
    3,
    expect.stringContaining("nothing that was removed"),
  ]);
});

test("those who watch hear of a file that comes back", async () => {
  await plant("/heard", "1");
  await cluster.ok("rm", "/heard");
  const events = cluster.spawn(["events", "--json"]);
  const reader = events.stdout.getReader();
  const heard = (async () => {
    let text = "";
    while (!text.split("\n").some((line) => /"put".*"\/heard"/.test(line))) {
      const { value, done } = await reader.read();
      if (done) break;
      text += new TextDecoder().decode(value);
    }
    return text;
  })();
  await until("the event is heard", async () => {
    await cluster.ok("undelete", "/heard");
    await cluster.ok("rm", "/heard");
    return await Promise.race([heard.then(() => true), Bun.sleep(200).then(() => false)]);
  });
  events.kill("SIGTERM");
  const put = (await heard).split("\n").find((line) => line.includes('"put"')) ?? "";
  expect(JSON.parse(put)).toMatchObject({ kind: "put", path: "/heard", size: 1 });
});

test("trash empty needs a word where nobody can be asked, and then the space is back", async () => {
  const local = cluster.file("big.bin", 6 * MIB);
  await cluster.ok("put", local, "/big/f");
  await cluster.ok("rm", "/big/f");
  await plant("/bigger", "stays");
  await cluster.ok("rm", "/bigger");
  const before = cluster.replicas(1).length + cluster.replicas(2).length;
  const refused = await cluster.run(["trash", "empty", "/big"]);
  expect([refused.exit, refused.stderr]).toEqual([2, expect.stringContaining("give --yes")]);
  expect(await cluster.ok("trash", "empty", "/big", "--yes")).toBe(
    'purged "/big" from the trash · 1 version, 6 MiB\n',
  );
  expect(await trash("/big")).toEqual([]);
  const { exit, stderr } = await cluster.run(["trash", "ls", "/big"]);
  expect([exit, stderr]).toEqual([0, 'tydfs: Nothing is in the trash at "/big" or below it\n']);
  await until("its space is back", () => {
    return cluster.replicas(1).length + cluster.replicas(2).length <= before - 6;
  });
  expect((await cluster.run(["undelete", "/big/f"])).exit).toBe(3);
  expect(await cluster.ok("undelete", "/bigger")).toContain("1 file, 5 B");
}, 60_000);

test("trash empty asks on a terminal, and does nothing without a yes", async () => {
  for (const name of ["a", "b"]) await plant(`/asked/${name}`, name);
  await cluster.ok("rm", "-r", "/asked");
  const answer = async (keys: string, words: string, exit: number) => {
    const env = { TYDFS_URL: cluster.clientUrl };
    const screen = new Screen([BINARY, "trash", "empty", "/asked"], { cwd: cluster.dir, env });
    try {
      await screen.shows("Purge 2 versions, 2 B, from the trash for good? [y/N] ");
      screen.type(keys);
      await screen.shows(words);
      expect(await screen.exit()).toBe(exit);
    } finally {
      screen.close();
    }
  };
  await answer("\r", "Nothing was purged", 0);
  await answer("n\r", "Nothing was purged", 0);
  await answer("\x03", "Nothing was purged", 130);
  expect(await trash("/asked")).toHaveLength(2);
  await answer("y\r", 'purged "/asked" from the trash · 2 versions, 2 B', 0);
  expect(await trash("/asked")).toEqual([]);
});

test("trash ls shows the trash as people read it", async () => {
  for (const text of ["1", "22"]) await plant("/ls/f", text);
  await cluster.ok("rm", "-r", "/ls");
  const when = "\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d";
  expect(await cluster.ok("trash", "ls", "/ls")).toMatch(
    new RegExp(`^${when}  2 B  /ls/f\n${when}  1 B  /ls/f  \\(replaced; version \\d+\\)\n$`),
  );
  expect(await cluster.ok("trash", "ls", "-l", "/ls")).toMatch(
    new RegExp(
      `^REMOVED +GOES +SIZE +VERSION +WHY +OWNER +PATH\n` +
        `${when}  ${when} +2 B +\\d+  removed   \\S+ +/ls/f\n` +
        `${when}  ${when} +1 B +\\d+  replaced  \\S+ +/ls/f\n$`,
    ),
  );
});

test("the trash survives the master's end", async () => {
  await plant("/kept/a", "a");
  await plant("/kept/b", "b");
  await cluster.ok("rm", "-r", "/kept");
  await cluster.killMaster();
  await cluster.startMaster();
  await cluster.untilAlive(3);
  expect(await cluster.ok("undelete", "/kept")).toContain("2 files, 2 B");
  expect(await cluster.ok("cat", "/kept/a", "/kept/b")).toBe("ab");
}, 60_000);

test("after its time what was removed is gone for good, and undelete says so", async () => {
  const stdin = new TextEncoder().encode("short");
  expect((await brief.run(["put", "-q", "-", "/short"], { stdin })).exit).toBe(0);
  await brief.ok("rm", "/short");
  await until("the trash is empty", async () => {
    return await brief.ok("trash", "ls", "--json") === "[]\n";
  });
  const { exit, stderr } = await brief.run(["undelete", "/short"]);
  expect([exit, stderr]).toEqual([
    3,
    'tydfs: Cannot restore "/short": it is not in the trash, where things stay for 1 s; ' +
    "tydfs trash ls shows what is\n",
  ]);
}, 60_000);
