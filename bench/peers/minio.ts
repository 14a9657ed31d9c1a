/** MinIO: one server over four drives, spoken to as S3. */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { MIB } from "../../src/base/bytes.ts";
import { forEachLimited } from "../../src/base/limit.ts";
import { goProgram } from "./install.ts";
import { freePort, Processes, runTool } from "./processes.ts";
import type { Candidate, Pace, PeerSystem, Tree } from "./system.ts";
import type { Pair, Work } from "./work.ts";
import { pairsOf, wholeWork, workThrough } from "./work.ts";

const MODULE = "github.com/minio/minio";
const VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c";
const BUCKET = "bench";
const USER = "benchbench";
const SECRET = "benchbenchbench";
const DRIVES = [1, 2, 3, 4];
const PART_BYTES = 16 * MIB;
const PARTS_AT_ONCE = 4;
const PAGE = 1000;

export const minio: Candidate = {
  setting: {
    system: "minio",
    title: "MinIO",
    // It has no setting without: data and metadata are always written with fdatasync.
    synced: true,
    durability:
      "erasure code of 2 data and 2 parity drives (any 2 may be lost, as with 3 copies, " +
      "for 2 bytes written a byte in place of 3); answered when data and metadata of a write " +
      "quorum (3 of 4) are fdatasynced, directory entries are not",
  },
  async prepare() {
    const path = await goProgram("minio", MODULE, VERSION);
    const version = (await runTool([path, "--version"])).split("\n")[0] ?? "";
    return version.includes("DEVELOPMENT") ? `minio ${VERSION}` : version;
  },
  create: (directory) => new Minio(directory),
};

class Minio implements PeerSystem {
  readonly processes: Processes;
  readonly #directory: string;
  readonly #port = freePort();
  readonly #client: Bun.S3Client;
  #replaced = 0;

  constructor(directory: string) {
    this.#directory = directory;
    this.processes = new Processes(directory);
    this.#client = new Bun.S3Client({
      endpoint: this.#endpoint,
      bucket: BUCKET,
      accessKeyId: USER,
      secretAccessKey: SECRET,
    });
  }

  async start(): Promise<void> {
    for (const n of DRIVES) mkdirSync(this.#drive(n), { recursive: true });
    await this.#startServer();
    await this.processes.until("MinIO makes a bucket", async () => {
      await this.#curl("-X", "PUT", `${this.#endpoint}/${BUCKET}`);
      return true;
    });
  }

  async putLarge(files: Pair[]): Promise<void> {
    await Promise.all(files.map(({ local, remote }) =>
      this.#client.write(remote, Bun.file(local), {
        partSize: PART_BYTES,
        queueSize: PARTS_AT_ONCE,
        type: "application/octet-stream",
      })
    ));
  }

  /** A few ranges at once, each written at its place. */
  async getLarge(files: Pair[]): Promise<void> {
    await Promise.all(files.map(async ({ local, remote }) => {
      const file = this.#client.file(remote);
      const { size } = await file.stat();
      const target = openSync(local, "w");
      const starts = Array.from({ length: Math.ceil(size / PART_BYTES) }, (_, n) => n * PART_BYTES);
      try {
        await forEachLimited(starts, PARTS_AT_ONCE, async (start) => {
          const bytes = await file.slice(start, Math.min(size, start + PART_BYTES)).bytes();
          writeSync(target, bytes, 0, bytes.length, start);
        });
      } finally {
        closeSync(target);
      }
    }));
  }

  putTree(tree: Tree, pace: Pace): Promise<Work> {
    return this.putSingles(pairsOf(tree), pace);
  }

  getTree(tree: Tree, pace: Pace): Promise<Work> {
    return this.getSingles(pairsOf(tree), pace);
  }

  putSingles(files: Pair[], pace: Pace): Promise<Work> {
    return workThrough(
      files,
      pace,
      ({ local, remote }) =>
        this.#client.write(remote, Bun.file(local), { type: "application/octet-stream" }),
    );
  }

  getSingles(files: Pair[], pace: Pace): Promise<Work> {
    return workThrough(files, pace, async ({ local, remote }) => {
      await Bun.write(local, await this.#client.file(remote).bytes());
    });
  }

  statSingles(remotes: string[], pace: Pace): Promise<Work> {
    return workThrough(remotes, pace, (remote) => this.#client.stat(remote));
  }

  fillNames(remotes: string[], pace: Pace): Promise<Work> {
    return workThrough(remotes, pace, (remote) => this.#client.write(remote, ""));
  }

  async list(remote: string): Promise<number> {
    let entries = 0;
    let after: string | undefined;
    for (;;) {
      const page = await this.#client.list({
        prefix: `${remote}/`,
        delimiter: "/",
        maxKeys: PAGE,
        ...(after === undefined ? {} : { startAfter: after }),
      });
      entries += page.contents?.length ?? 0;
      after = page.contents?.at(-1)?.key;
      if (page.isTruncated !== true || after === undefined) return entries;
    }
  }

  /** One request removes all below a name: an extension of MinIO's. */
  removeTree(remote: string, files: string[]): Promise<Work> {
    const url = `${this.#endpoint}/${BUCKET}/${remote}/`;
    return wholeWork(
      files.length,
      () => this.#curl("-X", "DELETE", "-H", "x-minio-force-delete: true", url),
    );
  }

  async replaceServer(): Promise<void> {
    await this.processes.stop("minio", "SIGKILL");
    rmSync(this.#drive(1), { recursive: true });
    mkdirSync(this.#drive(1));
    this.#replaced++;
    await this.#startServer();
  }

  /** The new drive holds its share, and the server has told that all is healed. */
  async isWhole(bytes: number): Promise<boolean> {
    const data = join(this.#drive(1), BUCKET);
    if (!existsSync(data)) return false;
    const log = readFileSync(join(this.#directory, "minio.log"), "utf8");
    if (log.split(" is finished (healed:").length - 1 < this.#replaced) return false;
    const told = await runTool(["du", "-sb", data], { allow: 1 });
    return Number(told.split("\t")[0]) >= bytes / 2;
  }

  async stop(): Promise<void> {
    // It would finish what it does in the background first.
    await this.processes.stopAll("SIGKILL");
  }

  get #endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  #drive(n: number): string {
    return join(this.#directory, `drive-${n}`);
  }

  async #startServer(): Promise<void> {
    const path = await goProgram("minio", MODULE, VERSION);
    const drives = join(this.#directory, "drive-{1...4}");
    const address = `127.0.0.1:${this.#port}`;
    this.processes.start("minio", [path, "server", "--quiet", "--address", address, drives], {
      env: {
        MINIO_ROOT_USER: USER,
        MINIO_ROOT_PASSWORD: SECRET,
        // Drives may lie on the disk that the system runs from.
        MINIO_CI_CD: "on",
        MINIO_BROWSER: "off",
        MINIO_UPDATE: "off",
      },
    });
  }

  async #curl(...args: string[]): Promise<void> {
    const signing = ["--aws-sigv4", "aws:amz:us-east-1:s3", "--user", `${USER}:${SECRET}`];
    await runTool(["curl", "-sS", "--fail-with-body", ...signing, ...args]);
  }
}
