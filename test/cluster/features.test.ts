/**
 * What people had before (the rows of test/features/rows.ts), from the compiled binary: the rows
 * that no other cluster test shows whole. One cluster for all; its last tests take keepers away.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { OptionKey } from "../../src/config/options.ts";
import { envName, flagName, OPTIONS } from "../../src/config/options.ts";
import { parseClusterUrl } from "../../src/wire/url.ts";
import { BINARY, MIB, sameBytes, TestCluster, until } from "./harness.ts";

/** Keepers by number, and the zone of each. */
const ZONES = ["attic", "attic", "cellar", "garage"];
const TRACKERS = 3;
const KEEPER_NAMES = ["keeper-1", "keeper-2", "keeper-3", "keeper-4", "late"];

let cluster: TestCluster;
let port = 0;

beforeAll(async () => {
  port = freePorts(1);
  cluster = new TestCluster({
    // The last flag of a name counts.
    masterArgs: ["--port", String(port), "--trackers", String(TRACKERS)],
    env: { TYDFS_KEEPERS: KEEPER_NAMES.join(",") },
  });
  await cluster.startMaster();
  await Promise.all(ZONES.map((zone, n) => {
    return cluster.startKeeper(n + 1, { TYDFS_LABEL: `zone=${zone}` });
  }));
  await cluster.untilAlive(ZONES.length);
}, 60_000);
afterAll(() => cluster.stop());

/** The first of `count` free ports in a row. */
function freePorts(count: number): number {
  for (let tries = 0; tries < 100; tries++) {
    const first = 20_000 + Math.floor(Math.random() * 10_000);
    const open: { stop(now: boolean): void }[] = [];
    try {
      for (let n = 0; n < count; n++) {
        const where = { hostname: "127.0.0.1", port: first + n };
        open.push(Bun.listen({ ...where, socket: { data() {} } }));
      }
      return first;
    } catch {
      // One of them is taken: somewhere else, then.
    } finally {
      for (const listener of open) listener.stop(true);
    }
  }
  throw new Error(`No ${count} ports in a row are free`);
}

async function json<T>(...args: string[]): Promise<T> {
  return JSON.parse(await cluster.ok(...args)) as T;
}

interface Located {
  owner: string;
  chunks: { holders: { keeper: string; path: string }[] }[];
}

async function holdersOf(path: string): Promise<string[][]> {
  const { chunks } = await json<Located>("stat", "--json", "--locations", path);
  return chunks.map(({ holders }) => holders.map(({ keeper }) => keeper).sort());
}

/** What each tracker says of itself, asked as any NATS tool would. */
async function trackerStats(): Promise<{ id: string; requests: number }[]> {
  const { host, port, role, secret } = parseClusterUrl(cluster.clientUrl);
  let text = "";
  const socket = await Bun.connect({
    hostname: host,
    port,
    socket: { data: (_socket, bytes) => void (text += bytes.toString()) },
  });
  try {
    const inbox = `_INBOX_${role}.features`;
    const options = JSON.stringify({ user: role, pass: secret, verbose: false });
    socket.write(`CONNECT ${options}\r\nSUB ${inbox} 1\r\n`);
    socket.write(`PUB $SRV.STATS.tydfs-tracker ${inbox} 0\r\n\r\n`);
    const answers =
      () => [...text.matchAll(/^\{"type":"io\.nats\.micro\.v1\.stats_response".*\}$/gm)];
    await until(`${TRACKERS} trackers answer; ${text}`, () => answers().length >= TRACKERS, 10_000);
    return answers().map(([line]) => {
      const { id, endpoints } = JSON.parse(line) as {
        id: string;
        endpoints: { num_requests: number }[];
      };
      return { id, requests: endpoints.reduce((sum, { num_requests: count }) => sum + count, 0) };
    });
  } finally {
    socket.end();
  }
}

test("row 1: a master listens on the port that is given, with so many trackers", async () => {
  expect(parseClusterUrl(cluster.clientUrl).port).toBe(port);
  const stats = await trackerStats();
  expect(new Set(stats.map(({ id }) => id)).size).toBe(TRACKERS);
});

/** A value of each setting that is not its default. */
function otherValue(key: OptionKey): string {
  const row: { type: string; words?: readonly string[] } = OPTIONS[key];
  if (key === "url") return "tydfs://client:x@h:1";
  if (key === "cluster") return "other";
  if (row.words !== undefined) return row.words.at(-1) ?? "";
  const values: Record<string, string> = {
    text: "word",
    number: "5",
    size: "8MiB",
    duration: "77s",
    list: "a,b",
    labels: "kind=video",
  };
  return values[row.type] ?? "";
}

test("row 2: every setting is a flag, a variable and a key of tydfs.toml", async () => {
  const env = { TYDFS_URL: "", HOME: cluster.dir, XDG_CONFIG_HOME: "" };
  const roles = ["master", "keeper", "client"] as const;
  for (const role of roles) {
    const keys = (Object.keys(OPTIONS) as OptionKey[])
      .filter((key) => (OPTIONS[key].for as readonly string[]).includes(role))
      // A client's cluster is the name of a saved connection, and there is none.
      .filter((key) => !(role === "client" && key === "cluster"));
    const show = ["config", "show", "--json", "--role", role];
    const file = join(cluster.dir, `${role}.toml`);
    writeFileSync(file, keys.map((key) => `${key} = "${otherValue(key)}"`).join("\n"));
    const ways: [string, string[], Record<string, string>][] = [
      ["flag", keys.flatMap((key) => [flagName(key), otherValue(key)]), {}],
      ["environment", [], Object.fromEntries(keys.map((key) => [envName(key), otherValue(key)]))],
      ["file", ["--config", file], {}],
    ];
    for (const [way, flags, variables] of ways) {
      const outcome = await cluster.run([...show, ...flags], { env: { ...env, ...variables } });
      expect([way, outcome.stderr, outcome.exit]).toEqual([way, "", 0]);
      const shown = JSON.parse(outcome.stdout) as Record<string, { from: string }>;
      for (const key of keys) {
        expect([key, shown[key]?.from]).toEqual([key, expect.stringContaining(way)]);
      }
    }
  }
  const wrong = join(cluster.dir, "wrong.toml");
  const cases: [string, RegExp][] = [
    ['replicas = 2\n\nchunk_szie = "8MiB"\n', /Unknown key "chunk_szie" .*line 3.*"chunk_size"/],
    ["replicas = 2\nmin_copies = many\n", /line 2/],
    ["[replicas\n", /line 1/],
    ['wait = "soon"\n', /line 1/],
  ];
  for (const [text, words] of cases) {
    writeFileSync(wrong, text);
    const { exit, stderr } = await cluster.run(["master", "--config", wrong]);
    expect([exit, stderr]).toEqual([2, expect.stringMatching(words)]);
  }
}, 60_000);

test("rows 3 and 11: a keeper takes a port for each streamer, from the first one on", async () => {
  const first = freePorts(3);
  const data = join(cluster.dir, "late");
  const args = ["keeper", "--port", String(first), "--streamers", "3", "--data", data];
  const keeper = cluster.spawn([...args, "--name", "late"], {
    env: { TYDFS_URL: cluster.keeperUrl, TYDFS_RESERVE: "64MiB" },
  });
  await cluster.untilStatus("it is alive", ({ keepers }) => {
    return keepers.some(({ name, state }) => name === "late" && state === "ALIVE");
  });
  const late = (await cluster.status()).keepers.find(({ name }) => name === "late");
  expect(late?.ports.map((facts) => facts.port)).toEqual([first, first + 1, first + 2]);
  for (let n = 0; n < 3; n++) {
    expect((await fetch(`http://127.0.0.1:${first + n}/chunk/x`)).status).toBeGreaterThan(399);
  }
  // Its data directory is its identity: it comes back as the same keeper.
  keeper.kill("SIGTERM");
  expect(await keeper.exited).toBe(0);
  const again = cluster.spawn(["keeper", "--port", "0", "--data", data, "--name", "late"], {
    env: { TYDFS_URL: cluster.keeperUrl, TYDFS_RESERVE: "64MiB" },
  });
  await cluster.untilStatus("it is back", ({ keepers }) => {
    return keepers.some(({ id, state, ports }) => {
      return id === late?.id && state === "ALIVE" && ports[0]?.port !== first;
    });
  });
  again.kill("SIGTERM");
  await again.exited;
}, 60_000);

test("row 4: a keeper that is not on the list is refused by name, and never takes a byte", async () => {
  const data = join(cluster.dir, "stranger");
  const args = ["keeper", "--port", "0", "--data", data, "--name", "stranger"];
  const refused = await cluster.run(args, { env: { TYDFS_URL: cluster.keeperUrl } });
  expect(refused.exit).toBe(8);
  expect(refused.stderr).toContain("stranger");
  expect((await cluster.status()).keepers.map(({ name }) => name)).not.toContain("stranger");
});

test("row 5: the user who puts a file is its owner, and ls shows the files of one", async () => {
  const source = cluster.file("owned.bin", 100);
  await cluster.ok("put", "--as", "anna", source, "/owned/a");
  await cluster.run(["put", source, "/owned/b"], { env: { TYDFS_AS: "bert" } });
  await cluster.ok("put", "--url", cluster.clientUrl, source, "/owned/c");
  expect((await json<Located>("stat", "--json", "/owned/a")).owner).toBe("anna");
  expect(await cluster.ok("ls", "--owner", "anna", "/owned")).toBe("a\n");
  expect(await cluster.ok("ls", "--owner", "bert", "/owned")).toBe("b\n");
  expect(await cluster.ok("ls", "--owner", "nobody", "/owned")).toBe("");
});

test("row 7: put, get, ls, stat, cat, rm, mv, cp, mkdir and du, one after the other", async () => {
  const sources = [cluster.file("one.bin", 1000), cluster.file("two.bin", 2000)];
  await cluster.ok("mkdir", "/seven");
  expect(await cluster.ok("put", ...sources, "/seven")).toContain('put "/seven/two.bin" · 2.0 KiB');
  expect(await cluster.ok("ls", "/seven")).toBe("one.bin\ntwo.bin\n");
  expect(await cluster.ok("stat", "/seven/one.bin")).toContain("1000 bytes");
  expect(await cluster.ok("cp", "/seven/one.bin", "/seven/copy.bin")).toBe("");
  expect(await cluster.ok("mv", "/seven/two.bin", "/seven/moved.bin")).toBe("");
  expect(await cluster.ok("du", "-s", "/seven")).toContain("3 files  /seven");
  await cluster.ok("get", "/seven/moved.bin", join(cluster.dir, "moved.bin"));
  expect(await sameBytes(sources[1] ?? "", join(cluster.dir, "moved.bin"))).toBe(true);
  const cat = cluster.spawn(["cat", "/seven/copy.bin"]);
  const bytes = await new Response(cat.stdout).bytes();
  expect(Buffer.compare(bytes, readFileSync(sources[0] ?? ""))).toBe(0);
  await cluster.ok("rm", "/seven/one.bin", "/seven/copy.bin", "/seven/moved.bin");
  expect(await cluster.ok("ls", "/seven")).toBe("");
});

test("row 10: clients are spread over the trackers, which know the same", async () => {
  const source = cluster.file("spread.bin", 10);
  for (let n = 0; n < 12; n++) {
    await cluster.ok("put", source, `/spread/${n}`);
    expect((await cluster.ok("ls", "/spread")).split("\n")).toHaveLength(n + 2);
  }
  await until("each has answered", async () => {
    await cluster.ok("ls", "/spread");
    return (await trackerStats()).every(({ requests }) => requests > 0);
  });
});

test("row 12: heartbeats and replication have threads of their own", async () => {
  await cluster.untilStatus("all are alive", ({ keepers }) => {
    return keepers.filter(({ state }) => state === "ALIVE").length === ZONES.length;
  });
  const log = cluster.log("master");
  expect(log).toContain('"name":"master/sentinel"');
  await until("the replicator has looked", () => {
    return cluster.log("master").includes('"name":"master/replicator"');
  });
});

test("row 14: status tells of keepers, ports and streams, once, again and again, and as JSON", async () => {
  const picture = await cluster.ok("status");
  expect(picture).toMatch(/^KEEPER +STATE +FREE +TOTAL +CHUNKS/m);
  expect(picture).toMatch(/^keeper-1 +ALIVE .*127\.0\.0\.1: \d+ \d+\/8\b/m);
  const watch = cluster.spawn(["status", "--watch", "--json"]);
  let text = "";
  for await (const piece of watch.stdout) {
    text += new TextDecoder().decode(piece);
    if (text.split("\n").length > 2) break;
  }
  watch.kill("SIGINT");
  expect(await watch.exited).toBe(130);
  for (const line of text.split("\n").slice(0, 2)) {
    const { keepers } = JSON.parse(line) as { keepers: { ports: object[] }[] };
    expect(keepers[0]?.ports[0]).toMatchObject({ state: "FREE", slots: 8, inUse: 0 });
  }
});

test("row 18: copies go to distinct keepers, and to distinct zones first", async () => {
  const source = cluster.file("zoned.bin", 1000);
  for (let n = 0; n < 8; n++) {
    await cluster.ok("put", "--min-copies", "3", source, `/zoned/${n}`);
    const [keepers = []] = await holdersOf(`/zoned/${n}`);
    expect(keepers).toHaveLength(3);
    const zones = keepers.map((name) => ZONES[Number(name.split("-")[1]) - 1] ?? "");
    expect([...zones].sort()).toEqual(["attic", "cellar", "garage"]);
  }
});

test("row 19: put says how many copies are durable, and the checksum", async () => {
  const source = cluster.file("told.bin", 3 * MIB);
  const told = await cluster.ok("put", "--min-copies", "3", source, "/told");
  expect(told).toMatch(
    /^put "\/told" · 3 MiB in [\d.]+ m?s .*· 3\/3 copies, synced, xxh3 [0-9a-f]{16}\n$/,
  );
  const checksum = /xxh3 ([0-9a-f]{16})/.exec(told)?.[1];
  expect((await json<{ checksum: string }>("stat", "--json", "/told")).checksum).toBe(
    checksum ?? "",
  );
  expect(await cluster.ok("get", "/told", join(cluster.dir, "told.back"))).toContain(
    checksum ?? "-",
  );
});

test("row 20: a file has the copies that were asked for, made by the chain or after it", async () => {
  const source = cluster.file("copies.bin", 2 * MIB);
  for (const copies of [1, 2, 4]) {
    const flags = ["--replicas", String(copies), "--min-copies", "1"];
    await cluster.ok("put", ...flags, source, `/copies/${copies}`);
    await until(`${copies} copies are there`, async () => {
      return (await holdersOf(`/copies/${copies}`))[0]?.length === copies;
    });
  }
  const { chunks } = await json<Located>("stat", "--json", "--locations", "/copies/4");
  for (const { keeper, path } of chunks[0]?.holders ?? []) {
    expect(await sameBytes(source, join(cluster.dir, keeper, path))).toBe(true);
  }
});

test("row 22: a download comes from several keepers at once", async () => {
  const source = cluster.file("parallel.bin", 130 * MIB);
  await cluster.ok("put", "--min-copies", "3", source, "/parallel");
  const sent = async () => {
    const { keepers } = await cluster.status();
    return keepers.map(({ ports }) => ports.reduce((sum, { bytesOut }) => sum + bytesOut, 0));
  };
  // Copies that follow count as sent, too: they must be over first.
  await cluster.untilStatus("all copies are made", ({ chunks }) => chunks.under === 0);
  const before = await sent();
  const target = join(cluster.dir, "parallel.back");
  await cluster.ok("get", "/parallel", target);
  expect(await sameBytes(source, target)).toBe(true);
  await until("the heartbeats have told of it", async () => {
    const grown = (await sent()).map((bytes, index) => bytes - (before[index] ?? 0));
    const sum = grown.reduce((total, bytes) => total + bytes, 0);
    return sum >= 130 * MIB && grown.filter((bytes) => bytes > 10 * MIB).length >= 2;
  });
}, 60_000);

const NAMES = [
  ...[
    "with space.mp4",
    "ü日本😀.webm",
    "x".repeat(255),
    "ü".repeat(127),
    "-rf",
    "*",
    "a\\b",
    "'\"",
  ],
  ...["new\nline", "tab\tand \u001b[31mred", "...", "~", "$HOME", "#", "%2e%2e", "NUL", " "],
];

test("row 23: any bytes, under any name, and another one than the file had", async () => {
  const local = join(cluster.dir, "names");
  mkdirSync(local);
  for (const [n, name] of NAMES.entries()) {
    const bytes = crypto.getRandomValues(new Uint8Array(n * 100));
    writeFileSync(join(local, name), bytes);
    await cluster.ok("put", join(local, name), `/names/other ${n}`);
    await cluster.ok("mv", `/names/other ${n}`, "/named");
    // What looks like a pattern is one, unless it names what is there.
    await cluster.ok("mv", "/named", `/names/${name}`);
    await cluster.ok("get", `/names/${name}`, join(cluster.dir, "back"));
    expect(Buffer.compare(readFileSync(join(cluster.dir, "back")), bytes)).toBe(0);
  }
  const listed = await json<{ path: string }[]>("ls", "--json", "/names");
  const byBytes = (left: string, right: string) =>
    Buffer.compare(Buffer.from(left), Buffer.from(right));
  expect(listed.map(({ path }) => path.slice("/names/".length))).toEqual([...NAMES].sort(byBytes));
  const shown = await cluster.ok("ls", "/names");
  expect(shown.split("\n")).toHaveLength(NAMES.length + 1);
  expect(shown).not.toContain("\u001b");
}, 60_000);

test(
  "row 27: ls -l marks a file with an upload under way, readers see old or new, never both",
  async () => {
    const [old, next] = [cluster.file("v1.bin", 20 * MIB), cluster.file("v2.bin", 20 * MIB)];
    await cluster.ok("put", old, "/replaced");
    // Standard input that does not end keeps an upload under way as long as the test wants.
    const held = cluster.spawn(["put", "-", "/replaced"], { stdin: heldInput(next) });
    await until("it is marked", async () => {
      return /replaced {2}\(updating\)$/m.test(await cluster.ok("ls", "-l", "/"));
    });
    const target = join(cluster.dir, "replaced.back");
    await cluster.ok("get", "/replaced", target);
    expect(await sameBytes(old, target)).toBe(true);
    held.kill("SIGINT");
    expect(await held.exited).toBe(130);

    const readers = Array.from({ length: 6 }, (_, n) => {
      return cluster.run(["get", "/replaced", `${target}-${n}`]);
    });
    await cluster.ok("put", next, "/replaced");
    for (const [n, reader] of readers.entries()) {
      expect((await reader).exit).toBe(0);
      const same = await Promise.all([old, next].map((path) => sameBytes(path, `${target}-${n}`)));
      expect(same.filter((is) => is)).toHaveLength(1);
    }
    await cluster.ok("get", "/replaced", target);
    expect(await sameBytes(next, target)).toBe(true);
    expect(await cluster.ok("ls", "-l", "/")).not.toContain("(updating)");
  },
  60_000,
);

/** The bytes of a file, again and again, as fast as they are taken. */
function heldInput(path: string): ReadableStream<Uint8Array> {
  const bytes = readFileSync(path);
  return new ReadableStream({
    pull: async (controller) => {
      controller.enqueue(bytes);
      await Bun.sleep(100);
    },
  });
}

test("row 28: the help lists the exit status of each answer, and they hold", async () => {
  const help = await cluster.ok("--help");
  for (const status of [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]) {
    expect(help).toMatch(new RegExp(`^ {2}${status} +[a-z]`, "m"));
  }
  const source = cluster.file("status.bin", 10);
  await cluster.ok("put", source, "/status");
  const cases: [number, string[]][] = [
    [1, ["put", join(cluster.dir, "none"), "/x"]],
    [2, ["ls", "--nope"]],
    [3, ["get", "/none", join(cluster.dir, "x")]],
    [4, ["put", "--no-replace", source, "/status"]],
    [5, ["ls", "--url", "tydfs://client:x@127.0.0.1:1"]],
    [6, ["put", "--wait", "1s", "--min-copies", "16", "--replicas", "16", source, "/x"]],
    [8, ["ls", "--url", cluster.clientUrl.replace(/:[^:@]*@/, ":wrong@")]],
  ];
  for (const [status, args] of cases) {
    const { exit, stdout, stderr } = await cluster.run(args);
    expect([args[0], exit, stdout]).toEqual([args[0], status, ""]);
    expect(stderr).toMatch(/^tydfs: /);
  }
});

test("row 30: a download makes the folders that are missing", async () => {
  const source = cluster.file("chosen.bin", 1000);
  await cluster.ok("put", source, "/chosen.bin");
  const folder = join(cluster.dir, "not/yet/there");
  await cluster.ok("get", "/chosen.bin", `${folder}/`);
  expect(await sameBytes(source, join(folder, "chosen.bin"))).toBe(true);
  await cluster.ok("get", "/chosen.bin", join(folder, "and/under another name"));
  expect(await sameBytes(source, join(folder, "and/under another name"))).toBe(true);
});

test("never 10: neither put nor get holds a file in memory", async () => {
  const peakBytes = async (...args: string[]) => {
    const child = Bun.spawn([BINARY, ...args], {
      env: { ...process.env, TYDFS_URL: cluster.clientUrl },
      stdio: ["ignore", "ignore", "inherit"],
    });
    expect(await child.exited).toBe(0);
    return child.resourceUsage()?.maxRSS ?? Infinity;
  };
  const small = cluster.file("small.bin", 1000);
  const large = cluster.file("large.bin", 500 * MIB);
  const copies = ["--replicas", "1", "--min-copies", "1"];
  const base = await peakBytes("put", ...copies, small, "/small");
  const bound = base + 250 * MIB;
  expect(await peakBytes("put", ...copies, large, "/large")).toBeLessThan(bound);
  const target = join(cluster.dir, "large.back");
  expect(await peakBytes("get", "/large", target)).toBeLessThan(bound);
  expect(await sameBytes(large, target)).toBe(true);
}, 90_000);

test("row 16: a dead keeper is skipped, and takes part again when it returns", async () => {
  const source = cluster.file("later.bin", 1000);
  await cluster.killKeeper(3);
  await cluster.untilStatus("it counts as dead", ({ keepers }) => {
    return keepers.some(({ name, state }) => name === "keeper-3" && state === "DEAD");
  });
  for (let n = 0; n < 5; n++) {
    await cluster.ok("put", "--min-copies", "3", source, `/later/${n}`);
    expect((await holdersOf(`/later/${n}`))[0]).toEqual(["keeper-1", "keeper-2", "keeper-4"]);
  }
  await cluster.ok("get", "/zoned/0", join(cluster.dir, "zoned.back"));
  await cluster.startKeeper(3, { TYDFS_LABEL: "zone=cellar" });
  await cluster.untilAlive(ZONES.length);
  await cluster.ok("put", "--min-copies", "3", source, "/later/again");
  expect((await holdersOf("/later/again"))[0]).toContain("keeper-3");
}, 60_000);
