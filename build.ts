/**
 * Compiles tydfs: src/main.ts and every thread of workers/ become one executable, with a real
 * nats-server inside.
 *
 * The source finds what was put in by two names, and by nothing else: the constant
 * TYDFS_BUILD_INFO, and the embedded file "nats-server". A binary for another platform carries no
 * nats-server unless one is given.
 */
import { chmod, copyFile, mkdir, mkdtemp, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";

const root = import.meta.dir;
const targets = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64", "windows-x64"] as const;
type Target = typeof targets[number];

/** What the source sees as the constant TYDFS_BUILD_INFO. */
interface BuildInfo {
  version: string;
  commit: string;
  target: string;
  /** The version of the embedded nats-server; null when there is none. */
  natsServer: string | null;
}

interface NatsServer {
  path: string;
  version: string;
}

const help = `Usage: bun build.ts [options]

Compiles tydfs, with a nats-server inside, to dist/tydfs.

Options:
  --target TARGET     ${targets.join(", ")} or all; may be repeated.
                      The result is dist/tydfs-TARGET. Without it: this machine, dist/tydfs
  --outfile FILE      where to write the executable (one target only)
  --nats-server FILE  the nats-server to embed (one target only); it must be made for the target.
                      Without it, for this machine: $TYDFS_NATS_SERVER, else nats-server on PATH,
                      else .build/nats-server. For another target: none is embedded, and tydfs
                      then needs --nats, or a nats-server on PATH
  --help              this text

Examples:
  bun build.ts
  bun build.ts --target linux-arm64 --target darwin-arm64
  bun build.ts --target linux-arm64 --nats-server ./nats-server-arm64`;

class BuildError extends Error {
  constructor(message: string, readonly exitCode = 1) {
    super(message);
  }
}

async function main(): Promise<void> {
  const { values } = parseCommandLine();
  if (values.help === true) return console.log(help);

  const chosen = chooseTargets(values.target ?? []);
  const isSingle = chosen.length === 1;
  if (!isSingle && (values.outfile !== undefined || values["nats-server"] !== undefined)) {
    throw new BuildError("Cannot build: --outfile and --nats-server go with one target only", 2);
  }
  if (!(await Bun.file(join(root, "src/main.ts")).exists())) {
    throw new BuildError("Cannot build: src/main.ts is missing");
  }

  for (const target of chosen) {
    const isNamed = values.target !== undefined;
    const outfile = values.outfile ?? join(root, "dist", isNamed ? `tydfs-${target}` : "tydfs");
    const natsServer = await findNatsServer(target, values["nats-server"]);
    const info: BuildInfo = {
      version: await readVersion(),
      commit: readCommit(),
      target,
      natsServer: natsServer?.version ?? null,
    };
    const path = await compile(target, resolve(outfile), natsServer, info);
    const inside = natsServer === undefined
      ? "no nats-server inside: give --nats at start, or put nats-server on PATH"
      : `nats-server ${natsServer.version}`;
    const sizeMiB = (Bun.file(path).size / 2 ** 20).toFixed(0);
    console.log(
      `${path}: tydfs ${info.version} (${info.commit}, ${target}), ${sizeMiB} MiB; ${inside}`,
    );
  }
}

function parseCommandLine() {
  try {
    return parseArgs({
      options: {
        target: { type: "string", multiple: true },
        outfile: { type: "string" },
        "nats-server": { type: "string" },
        help: { type: "boolean" },
      },
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BuildError(`Cannot read the command line: ${reason}\nTry: bun build.ts --help`, 2);
  }
}

function chooseTargets(names: readonly string[]): Target[] {
  if (names.length === 0) return [hostTarget()];
  if (names.includes("all")) return [...targets];
  return [...new Set(names)].map((name) => {
    const target = targets.find((known) => known === name);
    if (target !== undefined) return target;
    throw new BuildError(`Cannot build for "${name}": choose of ${targets.join(", ")}, all`, 2);
  });
}

function hostTarget(): Target {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `${platform}-${process.arch}`;
  const target = targets.find((known) => known === name);
  if (target !== undefined) return target;
  throw new BuildError(`Cannot build on "${name}": name a target of ${targets.join(", ")}`);
}

/** Works in a directory of its own and renames at the end: a running tydfs keeps its old file. */
async function compile(
  target: Target,
  outfile: string,
  natsServer: NatsServer | undefined,
  info: BuildInfo,
): Promise<string> {
  await mkdir(dirname(outfile), { recursive: true });
  const workDir = await mkdtemp(join(dirname(outfile), ".tydfs-build-"));
  const suffix = target.startsWith("windows") && !outfile.endsWith(".exe") ? ".exe" : "";
  const finalPath = outfile + suffix;
  const workers = [...new Bun.Glob("workers/*.ts").scanSync({ cwd: root })].sort();
  try {
    const draft = join(workDir, basename(finalPath));
    await Bun.build({
      // Threads are found by their path relative to root: "./workers/<name>.ts"
      entrypoints: ["src/main.ts", ...workers].map((file) => join(root, file)),
      root,
      target: "bun",
      format: "esm",
      bytecode: true,
      minify: true,
      // The map goes into the executable, so that stack traces name lines of the source
      sourcemap: "linked",
      define: { TYDFS_BUILD_INFO: JSON.stringify(info) },
      plugins: [cborWithoutNativePart],
      compile: {
        target: `bun-${target}`,
        outfile: draft,
        assets: natsServer === undefined ? [] : [await stage(natsServer, workDir)],
        // A file that happens to lie in the working directory must not change what tydfs does
        autoloadDotenv: false,
        autoloadBunfig: false,
        autoloadTsconfig: false,
        autoloadPackageJson: false,
      },
    });
    await chmod(draft, 0o755);
    await rename(draft, finalPath);
    return finalPath;
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

/** cbor-x would look for a native addon at run time; an executable to be copied has none. */
const cborWithoutNativePart: Bun.BunPlugin = {
  name: "cbor-x without its native part",
  setup(build) {
    build.onResolve({ filter: /^cbor-x$/ }, () => ({
      path: join(root, "node_modules/cbor-x/index.js"),
    }));
  },
};

/** An embedded file keeps its base name, so the copy has the one that the source looks for. */
async function stage(natsServer: NatsServer, workDir: string): Promise<string> {
  const path = join(workDir, "nats-server");
  await copyFile(natsServer.path, path);
  return path;
}

async function findNatsServer(
  target: Target,
  given: string | undefined,
): Promise<NatsServer | undefined> {
  const isHost = target === hostTarget();
  if (given !== undefined) return await readNatsServer(given, target);
  if (!isHost) return undefined;

  const fromEnvironment = process.env["TYDFS_NATS_SERVER"];
  if (fromEnvironment !== undefined && fromEnvironment !== "") {
    return await readNatsServer(fromEnvironment, target);
  }
  const onPath = Bun.which("nats-server");
  if (onPath !== null) return await readNatsServer(onPath, target);
  const fetched = join(root, ".build", "nats-server");
  if (await Bun.file(fetched).exists()) return await readNatsServer(fetched, target);
  throw new BuildError(
    "Cannot find a nats-server to embed: run ./cluster.sh build, which fetches one, " +
      "or name yours with --nats-server or TYDFS_NATS_SERVER",
  );
}

async function readNatsServer(path: string, target: Target): Promise<NatsServer> {
  const platform = await readPlatform(path);
  if (platform !== target) {
    throw new BuildError(
      `Cannot embed "${path}": it is ${platform ?? "no executable"}, and ${target} is wanted`,
    );
  }
  if (target !== hostTarget()) return { path, version: "unknown" };
  const run = Bun.spawnSync([resolve(path), "--version"], { stdout: "pipe", stderr: "pipe" });
  const version = /v(\d+\.\d+\.\d+\S*)/.exec(run.stdout.toString())?.[1];
  if (run.exitCode !== 0 || version === undefined) {
    throw new BuildError(`Cannot embed "${path}": "${path} --version" names no version`);
  }
  return { path, version };
}

/** Tells by its first bytes what an executable is made for; undefined when that is unknown. */
async function readPlatform(path: string): Promise<Target | undefined> {
  const head = Buffer.alloc(64);
  const file = await open(path, "r").catch((cause: unknown) => {
    throw new BuildError(
      `Cannot read "${path}": ${cause instanceof Error ? cause.message : cause}`,
    );
  });
  try {
    await file.read(head, 0, head.length, 0);
  } finally {
    await file.close();
  }
  const isElf = head.readUInt32BE(0) === 0x7f454c46;
  const isMachO = head.readUInt32LE(0) === 0xfeedfacf;
  if (isElf && head.readUInt16LE(18) === 0x3e) return "linux-x64";
  if (isElf && head.readUInt16LE(18) === 0xb7) return "linux-arm64";
  if (isMachO && head.readUInt32LE(4) === 0x01000007) return "darwin-x64";
  if (isMachO && head.readUInt32LE(4) === 0x0100000c) return "darwin-arm64";
  if (head.toString("latin1", 0, 2) === "MZ") return "windows-x64";
  return undefined;
}

async function readVersion(): Promise<string> {
  const { version } = await Bun.file(join(root, "package.json")).json() as { version: string };
  return version;
}

/** The commit that the source stands at, with "-dirty" when files differ from it. */
function readCommit(): string {
  const commit = runGit(["rev-parse", "--short=12", "HEAD"]);
  if (commit === undefined) return "unknown";
  return runGit(["status", "--porcelain"]) === "" ? commit : `${commit}-dirty`;
}

function runGit(args: readonly string[]): string | undefined {
  if (Bun.which("git") === null) return undefined;
  const run = Bun.spawnSync(["git", "-C", root, ...args], { stdout: "pipe", stderr: "ignore" });
  return run.exitCode === 0 ? run.stdout.toString().trim() : undefined;
}

try {
  await main();
} catch (error) {
  if (error instanceof BuildError) {
    console.error(error.message);
    process.exitCode = error.exitCode;
  } else {
    console.error("Cannot build:", error);
    process.exitCode = 1;
  }
}
