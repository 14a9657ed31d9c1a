/** `tydfs fsck`: the catalog against the keepers' disks, and file by file what is in danger. */
import type { Command } from "@commander-js/extra-typings";
import { systemClock } from "../base/clock.ts";
import type { FileAtRisk, FsckPage } from "../client/operator.ts";
import type { Finding, FsckFigures } from "./format/audit.ts";
import { formatFinding, formatRisk, formatVerdict } from "./format/audit.ts";
import type { ClientSession, Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const REDRAW_MS = 200;
/** Files that are remembered, so that one with chunks on many pages is told once. */
const TOLD_MAX = 100_000;
const FOUND_STATUS = 1;
const LOST_STATUS = 7;

const EXAMPLES = `
Checks the catalog against itself, then asks each keeper whether it has the
chunks that the catalog says it has, in their right lengths. Bytes are not read:
that is what tydfs scrub does. Nothing is changed without --repair.

Told line by line:
  lost         a file with a chunk of which there is no good copy
  endangered   a file with a chunk that has one copy left
  missing      a copy that is on record, but not on its keeper's disk
  wrong-size   a copy of another length than is on record
  unreachable  a keeper that could not be asked
  catalog      the catalog contradicts itself: restore it from its archive
With --all also files that are merely below their goal (short), chunks that
nothing needs (orphan), and copies that the catalog does not know (unrecorded).

--repair takes missing and wrong copies off the record, so that new ones are
made from those that are left. Keepers that could not be asked are left alone;
orphans go by themselves when their time has come.

Exit status: 0 when every copy on record is there, or its record was corrected;
1 when something was found that was not mended; 7 when files are lost.

Examples:
  tydfs fsck
  tydfs fsck --repair
  tydfs fsck --all --json | jq -r '.[] | select(.what == "lost") | .path'
`;

/** Declares the command. */
export function addFsck(program: Command, session: Session): void {
  const command = program.command("fsck")
    .description("Check the catalog against the keepers' disks, and tell which files are in danger")
    .option("--repair", "Correct wrong records, so that missing copies are made again")
    .option("-a, --all", "Also tell what is no damage: files below their goal, unneeded chunks")
    .addHelpText("after", EXAMPLES)
    .action(async (flags, self) => {
      await session.withClient(self, async (connected) => {
        const report = new FsckReport(connected, flags.all === true);
        const { client, signal } = connected;
        try {
          for await (const page of client.operator.fsck(flags.repair === true, { signal })) {
            report.take(page);
          }
        } finally {
          report.clear();
        }
        session.exitStatus = report.end();
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

/** Tells what pages hold as they come, and counts. */
export class FsckReport {
  readonly #session: Pick<ClientSession, "output" | "json" | "quiet">;
  readonly #all: boolean;
  readonly #told = new Set<string>();
  readonly #unreachable = new Map<string, number>();
  readonly #figures: FsckFigures = {
    chunks: 0,
    findings: {
      ...{ "missing": 0, "wrong-size": 0, "unrecorded": 0 },
      ...{ "orphan": 0, "unreachable": 0, "catalog": 0 },
    },
    repaired: 0,
    lost: 0,
    endangered: 0,
    short: 0,
    trashed: 0,
  };
  #unmended = 0;
  #items = 0;
  #drawnMs = 0;

  constructor(session: Pick<ClientSession, "output" | "json" | "quiet">, all: boolean) {
    this.#session = session;
    this.#all = all;
  }

  take(page: FsckPage): void {
    this.#figures.chunks += page.chunks;
    for (const finding of page.findings) this.#takeFinding(finding);
    for (const file of page.files) this.#takeFile(file);
    this.#draw(page);
  }

  /** Takes the progress away. */
  clear(): void {
    if (this.#session.output.messagesOnTerminal) this.#session.output.board([]);
  }

  /** Tells the verdict; returns the exit status. */
  end(): number {
    const { output, json } = this.#session;
    const figures = this.#figures;
    for (const [keeper, copies] of this.#unreachable) {
      const detail = "it could not be asked";
      this.#printFinding({ kind: "unreachable", keeper, detail, copies, repaired: false });
    }
    if (json) {
      this.#print({ what: "summary", ...figures }, "");
      output.line("]");
    } else {
      for (const line of formatVerdict(figures, output.paint)) output.line(line);
    }
    if (figures.lost > 0) return LOST_STATUS;
    return this.#unmended > 0 ? FOUND_STATUS : 0;
  }

  #takeFinding(finding: Finding): void {
    const { kind, keeper, repaired, copies = 1 } = finding;
    this.#figures.findings[kind] += kind === "orphan" ? 1 : copies;
    const isHarmless = kind === "orphan" || kind === "unrecorded";
    if (repaired) this.#figures.repaired++;
    else if (!isHarmless) this.#unmended++;
    if (kind === "unreachable" && keeper !== undefined) {
      // A keeper is told once, at the end, not once a page.
      this.#unreachable.set(keeper, (this.#unreachable.get(keeper) ?? 0) + copies);
      return;
    }
    if (isHarmless && !this.#all) return;
    this.#printFinding(finding);
  }

  #takeFile(file: FileAtRisk): void {
    const key = `${file.trashed ? "trash" : "file"} ${file.path}`;
    if (this.#told.has(key)) return;
    if (this.#told.size >= TOLD_MAX) this.#told.clear();
    this.#told.add(key);
    if (file.trashed) this.#figures.trashed++;
    else this.#figures[file.danger]++;
    if (!this.#all && (file.danger === "short" || file.trashed)) return;
    const { danger: what, ...facts } = file;
    this.#print({ what, ...facts }, formatRisk(file, this.#session.output.paint));
  }

  #printFinding(finding: Finding): void {
    const { kind: what, ...facts } = finding;
    this.#print({ what, ...facts }, formatFinding(finding, this.#session.output.paint));
  }

  #print(item: Record<string, unknown>, line: string): void {
    const { output, json } = this.#session;
    if (json) output.line(`${this.#items === 0 ? "[" : ","}${JSON.stringify(item)}`);
    else output.line(line);
    this.#items++;
  }

  #draw({ chunksTotal }: FsckPage): void {
    const { output, quiet } = this.#session;
    const nowMs = systemClock.monotonicMs();
    if (quiet || !output.messagesOnTerminal || nowMs - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = nowMs;
    const { chunks } = this.#figures;
    const done = chunks === 0
      ? "Checking the catalog …"
      : `Checking the disks: ${chunks} of ${Math.max(chunks, chunksTotal)} chunks`;
    output.board([done]);
  }
}
