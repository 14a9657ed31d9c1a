/**
 * A catalog in a temporary directory, and a small language in which tests say operations and read
 * verdicts: one line of text each, so that a table of them reads like a session.
 */
import type { Database } from "bun:sqlite";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { apply } from "../../src/catalog/apply.ts";
import { checkCatalog } from "../../src/catalog/check.ts";
import { openCatalog } from "../../src/catalog/open.ts";
import type {
  CommittedFile,
  FileFacts,
  Operation,
  OperationKind,
  PolicyFacts,
  ResultOf,
} from "../../src/catalog/operation.ts";
import { CatalogReader } from "../../src/catalog/reader.ts";
import { readValue } from "../../src/catalog/schema.ts";
import { Tx } from "../../src/catalog/transaction.ts";
import { chainHash } from "../../src/catalog/writer.ts";
import { wrapError } from "../../src/wire/errors.ts";
import { fileChecksum, sumsOf } from "../../src/wire/sums.ts";
import { runPackLine } from "./pack_lines.ts";

/** The id that a short label stands for; ids sort as their labels do. */
export function idOf(label: string): string {
  return Buffer.from(label).toString("hex").padEnd(32, "0");
}

/** What the chunk with this label contains. */
export function bytesOf(label: string, sizeBytes: number): Uint8Array {
  return new Uint8Array(sizeBytes).fill(label.charCodeAt(0) + label.length);
}

export function sumsFor(label: string, sizeBytes: number): Uint8Array {
  return sumsOf(bytesOf(label, sizeBytes));
}

export function fileAt(path: string, exclusive = false): FileFacts {
  return { path, mode: 0o644, mtimeMs: 7, owner: "ann", exclusive };
}

let empty: Uint8Array | undefined;

/** The bytes of an empty catalog, made once: making one syncs the disk, and tests need hundreds. */
function emptyCatalog(): Uint8Array {
  if (empty !== undefined) return empty;
  const directory = mkdtempSync(join(tmpdir(), "catalog-"));
  const path = join(directory, "empty.db");
  openCatalog(path).close();
  empty = readFileSync(path);
  rmSync(directory, { recursive: true });
  return empty;
}

/**
 * Applies operations without the writer: each in a transaction of its own, not synced, so that
 * thousands are quick.
 */
export class World {
  readonly directory = mkdtempSync(join(tmpdir(), "catalog-"));
  readonly path = join(this.directory, "catalog.db");
  readonly database: Database;
  readonly tx: Tx;
  readonly reader: CatalogReader;
  sequence = 0;
  hash: Uint8Array = new Uint8Array(32);
  /** The time of the next operation; each takes 1 ms. */
  nowMs = 1000;
  #chunks = 0;

  /** Begins with a catalog's file, an empty one unless given. */
  constructor(catalog?: Uint8Array) {
    writeFileSync(this.path, catalog ?? emptyCatalog());
    this.database = openCatalog(this.path);
    this.database.run("PRAGMA synchronous = OFF");
    this.tx = new Tx(this.database);
    this.sequence = Number(
      readValue(this.database, "SELECT value FROM meta WHERE key = 'sequence'"),
    );
    this.reader = new CatalogReader(this.path);
  }

  [Symbol.dispose](): void {
    this.reader.close();
    this.tx.finalize();
    this.database.close();
    rmSync(this.directory, { recursive: true });
  }

  /** Applies one operation; throws what it throws, with nothing changed. */
  apply<K extends OperationKind>(operation: Extract<Operation, { kind: K }>): ResultOf<K> {
    this.nowMs++;
    this.tx.run("BEGIN");
    try {
      const result = apply(this.tx, operation, this.sequence + 1);
      const hash = chainHash(this.hash, operation);
      this.tx.keep();
      this.tx.flush(this.sequence + 1, hash);
      this.tx.run("COMMIT");
      this.sequence++;
      this.hash = hash;
      return result as ResultOf<K>;
    } catch (error) {
      this.tx.run("ROLLBACK");
      this.tx.drop();
      throw error;
    }
  }

  /** Registers keepers named and labelled `k0`, `k1`, … */
  joinKeepers(count: number): void {
    for (let number = 0; number < count; number++) this.do(`join k${number} 1`);
  }

  /** Broken invariants. */
  check(): string[] {
    return checkCatalog(this.database);
  }

  /** Does what a line says. Returns the verdict: `ok`, a short result, or `code: message`. */
  do(line: string): string {
    try {
      return this.#run(line.split(" "));
    } catch (error) {
      const known = wrapError(error);
      return `${known.code}: ${known.message}`;
    }
  }

  #run(words: string[]): string {
    const [verb = "", ...rest] = words;
    const atMs = this.nowMs;
    const flags = rest.filter((word) => word.startsWith("-"));
    const said = rest.filter((word) => !word.startsWith("-"));
    const [first = "", second = "", ...others] = said;
    const pack = runPackLine(this, verb, said, flags);
    if (pack !== undefined) return pack;
    switch (verb) {
      case "put":
        return this.#put(first, second, flags.includes("-x"), others[0]);
      case "mkdir": {
        // mkdir PATH [MODE [MTIME]]
        const mode = second === "" ? 0o755 : parseInt(second, 8);
        const facts = { owner: "ann", mode, mtimeMs: Number(others[0] ?? atMs), atMs };
        const parents = flags.includes("-p");
        const { made } = this.apply({ kind: "dir.make", path: first, parents, ...facts });
        return made ? "made" : "there";
      }
      case "rm": {
        const recursive = flags.includes("-r");
        const removed = this.apply({ kind: "file.remove", path: first, recursive, atMs });
        return `${removed.files} files, ${removed.directories} directories`;
      }
      case "mv": {
        const replace = !flags.includes("-n");
        this.apply({ kind: "file.rename", from: first, to: second, replace, atMs });
        return "ok";
      }
      case "cp": {
        const replace = !flags.includes("-n");
        const facts = { from: first, to: second, replace, owner: "bob", atMs };
        return `v${this.apply({ kind: "file.copy", ...facts }).version}`;
      }
      case "set": {
        // set PATH [mode=OCTAL] [mtime=MS]
        const [mode, mtime] = ["mode=", "mtime="].map((key) =>
          [second, ...others].find((word) => word.startsWith(key))?.slice(key.length)
        );
        const facts = {
          ...(mode === undefined ? {} : { mode: parseInt(mode, 8) }),
          ...(mtime === undefined ? {} : { mtimeMs: Number(mtime) }),
        };
        this.apply({ kind: "file.set", path: first, ...facts });
        return "ok";
      }
      case "stat": {
        const { kind, size, version, mtimeMs, mode, owner } = this.reader.getEntry(first);
        return `${kind} v${version}, ${size} bytes, 0${mode.toString(8)} ${owner} at ${mtimeMs}`;
      }
      case "ls":
        return this.reader.list(first, {
          recursive: flags.includes("-r"),
          after: undefined,
          limit: 1000,
        }).entries.map(({ path, kind }) => kind === "directory" ? path + "/" : path).join(" ");
      case "purge":
        return `${
          this.apply({ kind: "trash.purge", beforeMs: atMs, limit: Number(first), atMs }).purged
        } purged`;
      case "chunk":
        return this.#showChunk(first);
      case "stray":
        return String(this.reader.chunk(idOf(first))?.stray);
      case "join":
        return this.#join(first, Number(second), others);
      case "undelete":
      case "trash":
      case "empty":
        return this.#runTrash(verb, first, second, flags);
      default:
        return this.#runUpload(verb, first, second, others, flags);
    }
  }

  #runTrash(verb: string, first: string, second: string, flags: string[]): string {
    const atMs = this.nowMs;
    switch (verb) {
      case "undelete":
        return this.#undelete(first, second === "" ? first : second, flags);
      case "trash":
        return this.reader.trash(first, undefined, 1000)
          .map(({ path, version, replaced }) => `${path} v${version}${replaced ? "*" : ""}`)
          .join(" ");
      case "empty": {
        const inodes = this.reader.trashUntil(first, Number(second), 1000);
        const { purged, bytes } = this.apply({ kind: "trash.drop", inodes, atMs });
        return `${purged} purged, ${bytes} bytes`;
      }
      default:
        throw new Error(`No such line: ${verb}`);
    }
  }

  #runUpload(
    verb: string,
    first: string,
    second: string,
    others: string[],
    flags: string[],
  ): string {
    const atMs = this.nowMs;
    const upload = idOf(first);
    switch (verb) {
      case "begin": {
        // begin UPLOAD PATH [GOAL]; -r resumes, -i takes whatever is silent for interrupted
        const file = fileAt(second, flags.includes("-x"));
        const goal = Number(others[0] ?? 3);
        const resume = flags.includes("-r")
          ? { resume: { idleBeforeMs: flags.includes("-i") ? atMs : 0 } }
          : {};
        const facts = { upload, file, goal, minCopies: 2, ...resume, atMs };
        const { resumedBytes } = this.apply({ kind: "upload.begin", ...facts });
        return resumedBytes === 0 ? "ok" : `${resumedBytes} bytes resumed`;
      }
      case "touch":
        this.apply({ kind: "upload.touch", upload, atMs });
        return "ok";
      case "abort": {
        const keep = flags.includes("-k");
        const { committed, kept } = this.apply({ kind: "upload.abort", upload, keep, atMs });
        if (committed !== undefined) return describe(committed);
        return kept ? "kept" : "ok";
      }
      case "place": {
        // place UPLOAD SEQ OFFSET CHUNK SIZE KEEPERS; -l comes late
        const [offset = "", chunk = "", size = "", keepers = ""] = others;
        const late = flags.includes("-l") ? { late: true } : {};
        const place = { upload, seq: Number(second), offset: Number(offset), ...late };
        this.store(chunk, Number(size), keepers.split(","), { place });
        return "ok";
      }
      case "commit": {
        // commit UPLOAD CHUNK=SIZE,…
        const chunks = second === "" ? [] : second.split(",").map((pair) => pair.split("="));
        const sums = chunks.map(([label = "", size]) => sumsFor(label, Number(size)));
        const sizeBytes = chunks.reduce((sum, [, size]) => sum + Number(size), 0);
        const checksum = fileChecksum(sums);
        const facts = { upload, sizeBytes, chunks: chunks.length, checksum, atMs };
        return describe(this.apply({ kind: "upload.commit", ...facts }));
      }
      default:
        return this.#runChunk(verb, first, second, others, flags);
    }
  }

  #runChunk(
    verb: string,
    first: string,
    second: string,
    others: string[],
    flags: string[],
  ): string {
    const atMs = this.nowMs;
    switch (verb) {
      case "stored":
        // stored CHUNK SIZE KEEPERS
        this.store(first, Number(second), (others[0] ?? "").split(","), {});
        return "ok";
      case "copied":
        // copied CHUNK SIZE KEEPER: the keeper alone says so
        this.store(first, Number(second), (others[0] ?? "").split(","), { stray: true });
        return "ok";
      case "gone":
        this.apply({
          kind: "replica.gone",
          keeper: idOf(first),
          chunks: second.split(",").map(idOf),
          atMs,
        });
        return "ok";
      case "release": {
        // release KEEPER CHUNK ALIVE,…
        const alive = (others[0] ?? "").split(",").map(idOf);
        const facts = { keeper: idOf(first), chunks: [idOf(second)], alive, atMs };
        const { released } = this.apply({ kind: "replica.release", ...facts });
        return released.length === 0 ? "none" : second;
      }
      case "condemn": {
        const facts = { chunks: [idOf(first)], beforeMs: Number(second) };
        const { condemned } = this.apply({ kind: "chunk.condemn", ...facts });
        return condemned.length === 0 ? "none" : first;
      }
      case "forget":
        this.apply({ kind: "chunk.forget", chunks: [idOf(first)], beforeMs: Number(second) });
        return "ok";
      case "inventory": {
        // inventory KEEPER AFTER CHUNK=SIZE,… [last]
        const chunks = (others[0] ?? "").split(",").filter((pair) => pair.includes("="))
          .map((pair): [string, number] => {
            const [label = "", size] = pair.split("=");
            return [idOf(label), Number(size)];
          });
        const after = second === "*" ? "" : idOf(second);
        const last = others.includes("last");
        const facts = { keeper: idOf(first), after, chunks, last, atMs };
        const found = this.apply({ kind: "keeper.inventory", ...facts });
        const wrong = found.wrongSize.map((id) => Buffer.from(id, "hex").toString("latin1"))
          .map((text) => text.replaceAll("\0", "")).join(",");
        const ending = wrong === "" ? "" : `, wrong ${wrong}`;
        return `${found.unknown} unknown, ${found.missing} missing${ending}`;
      }
      default:
        return this.#runRule(verb, first, second, others, flags);
    }
  }

  #runRule(
    verb: string,
    first: string,
    second: string,
    others: string[],
    flags: string[],
  ): string {
    switch (verb) {
      case "rule": {
        // rule PATTERN REQUIRE [PREFER [COPIES]]; "_" is none
        const [prefer, copies] = others;
        const facts = copies === undefined ? {} : { copies: Number(copies) };
        const rule = { pattern: first, ...policyOf(second, prefer), ...facts };
        return `rule ${this.apply({ kind: "rule.add", rule }).id}`;
      }
      case "unrule":
        this.apply({ kind: "rule.remove", id: Number(first) });
        return "ok";
      case "apply": {
        // apply PATH GOAL [REQUIRE [PREFER]]
        const file = this.reader.placedFile(first, 0, 100);
        if (file === undefined) return "no file";
        const [require, prefer] = others;
        const facts = { inode: file.inode, fromSeq: 0, limit: 100, goal: Number(second) };
        const files = [{ ...facts, policy: policyOf(require, prefer) }];
        const { changed } = this.apply({ kind: "rule.apply", files, atMs: this.nowMs });
        return changed.length === 0 ? "as it was" : "changed";
      }
      case "recount": {
        const keeper = this.reader.keepers().find(({ id }) => id === idOf(first))?.number ?? -1;
        this.apply({ kind: "keeper.recount", keeper, limit: Number(second) });
        return this.reader.relabelledKeeper() === undefined ? "done" : "more";
      }
      default:
        return this.#runMembership(verb, first, second, others, flags);
    }
  }

  #runMembership(
    verb: string,
    first: string,
    second: string,
    others: string[],
    flags: string[],
  ): string {
    const keeper = idOf(first);
    switch (verb) {
      case "drain":
        // drain KEEPER [stop]
        this.apply({ kind: "keeper.drain", keeper, on: second !== "stop" });
        return "ok";
      case "remove": {
        // remove KEEPER LIMIT [ALIVE,…]; -f forces
        const alive = (others[0] ?? "").split(",").map(idOf);
        const facts = { limit: Number(second), force: flags.includes("-f"), atMs: this.nowMs };
        const { short, lost, more } = this.apply({
          kind: "keeper.remove",
          keeper,
          alive,
          ...facts,
        });
        return `${short} short, ${lost} lost${more ? ", more" : ""}`;
      }
      case "balance":
        this.apply({ kind: "balance.set", on: first === "on" });
        return this.reader.balanceWanted() ? "wanted" : "not wanted";
      default:
        throw new Error(`No such line: ${verb}`);
    }
  }

  /** Reports a chunk stored. */
  store(
    label: string,
    sizeBytes: number,
    keepers: string[],
    use: Pick<
      Extract<Operation, { kind: "chunk.stored" }>,
      "place" | "commit" | "stray" | "packed"
    >,
    policy?: PolicyFacts,
  ): CommittedFile | undefined {
    const sums = sumsFor(label, sizeBytes);
    const chunk = { id: idOf(label), sizeBytes, sums, goal: 3, ...(policy && { policy }) };
    const facts = { chunk, keepers: keepers.map(idOf), ...use, atMs: this.nowMs };
    return this.apply({ kind: "chunk.stored", ...facts }).committed;
  }

  /** undelete PATH [TO]: -vN a version, -n no file is replaced; a page is of 2 files. */
  #undelete(path: string, to: string, flags: string[]): string {
    const number = flags.find((flag) => flag.startsWith("-v"))?.slice(2);
    const version = number === undefined ? undefined : Number(number);
    const replace = !flags.includes("-n");
    const all = this.reader.restorable(path, { version, limit: 1000 }).files;
    let page = this.reader.restorable(path, { version, limit: 2 });
    const paged = [...page.files];
    while (page.next !== undefined) {
      page = this.reader.restorable(path, { version, after: page.next, limit: 2 });
      paged.push(...page.files);
    }
    if (Bun.deepEquals(all, paged) === false) throw new Error("pages differ from the whole");
    const files = all.map((file) => ({
      inode: file.inode,
      to: to + file.path.slice(path === "/" ? 0 : path.length),
    }));
    if (files.length === 0) return "not-found: Nothing in the trash";
    const { events } = this.apply({ kind: "trash.restore", files, replace, atMs: this.nowMs });
    return events.map((event) => `${event.kind} ${event.path} v${event.version}`).join(", ");
  }

  #put(path: string, label: string, exclusive: boolean, require?: string): string {
    const chunk = label === "" ? `c${++this.#chunks}` : label;
    const commit = { upload: idOf(`u-${chunk}`), file: fileAt(path, exclusive) };
    const policy = require === undefined ? undefined : policyOf(require);
    const committed = this.store(chunk, 10, ["k0", "k1"], { commit }, policy);
    return committed === undefined ? "not committed" : describe(committed);
  }

  #join(label: string, epoch: number, options: string[]): string {
    const names = options.filter((word) => !word.includes("="));
    const [name = label, instance = `${label}-${epoch}`] = names;
    const labels = { zone: "a", ...policyOf(options.find((word) => word.includes("="))).require };
    const facts = { host: "localhost", ports: [7000, 7001], slots: 8, labels };
    const keeper = { id: idOf(label), name, epoch, instance: idOf(instance), ...facts };
    return `number ${this.apply({ kind: "keeper.join", keeper, atMs: this.nowMs }).number}`;
  }

  #showChunk(label: string): string {
    const chunk = this.reader.chunk(idOf(label));
    if (chunk === undefined) return "unknown";
    const { refs, copies, goal, orphanedMs, keepers, misplaced } = chunk;
    const state = orphanedMs === null ? "" : ` orphan since ${orphanedMs}`;
    const place = misplaced === 0 ? "" : `, ${misplaced} misplaced`;
    return `${refs} refs, ${copies}/${goal} copies on ${keepers.join(",")}${place}${state}`;
  }
}

/** `k=v,…` as it stands in a line; "_" is none. */
export function policyOf(require = "_", prefer = "_"): PolicyFacts {
  const labelsOf = (text: string): Record<string, string> =>
    text === "_" ? {} : Object.fromEntries(text.split(",").map((pair) => pair.split("=")));
  return { require: labelsOf(require), prefer: labelsOf(prefer) };
}

/** A commit's answer in short. */
export function describe(file: CommittedFile): string {
  const words =
    `${file.path} v${file.version}, ${file.sizeBytes} bytes, ${file.copies}/${file.goal}`;
  return file.replaced ? `${words}, replaced` : words;
}
