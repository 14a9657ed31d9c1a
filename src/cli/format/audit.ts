/** Files in danger and what fsck finds, as people read them and as `--json` prints them. */
import { formatSize } from "../../base/bytes.ts";
import type { FileAtRisk, FsckPage } from "../../client/operator.ts";
import { quotePath } from "../../wire/names.ts";
import type { Paint, Tone } from "../color.ts";
import { plain } from "../color.ts";
import { formatCount } from "./format.ts";
import { printable } from "../output.ts";

export type Finding = FsckPage["findings"][number];

const TONES: Readonly<Record<string, Tone>> = {
  "lost": "bad",
  "catalog": "bad",
  "endangered": "doubtful",
  "missing": "doubtful",
  "wrong-size": "doubtful",
  "unreachable": "doubtful",
};

/** The line of a file that has too few copies. */
export function formatRisk(file: FileAtRisk, paint: Paint = plain): string {
  const { path, size, danger, chunks, chunksTotal, copies, goal, trashed } = file;
  const few = copies === 0 ? "no good copy" : `${copies} of ${goal} copies`;
  const where = chunksTotal === 1 ? few : `${few} of ${chunks} of its ${chunksTotal} chunks`;
  const place = trashed ? ", in the trash" : "";
  return `${head(danger, paint)} ${quotePath(path)} · ${formatSize(size)} · ${where}${place}`;
}

/** The line of a finding. */
export function formatFinding(finding: Finding, paint: Paint = plain): string {
  const { kind, chunk, keeper, detail, copies, repaired } = finding;
  const what = [
    ...(chunk === undefined ? [] : [`chunk ${chunk}`]),
    ...(keeper === undefined ? [] : [`on ${printable(keeper)}`]),
  ].join(" ");
  const many = copies === undefined ? "" : ` (${formatCount(copies, "copy", "copies")})`;
  const mended = repaired ? "; the record is corrected" : "";
  return `${head(kind, paint)} ${what === "" ? "" : `${what}: `}${
    printable(detail)
  }${many}${mended}`;
}

/** What fsck has found, in figures. */
export interface FsckFigures {
  chunks: number;
  /** Findings by kind, each copy counted. */
  findings: { [kind in Finding["kind"]]: number };
  repaired: number;
  /** Files that have names. */
  lost: number;
  endangered: number;
  short: number;
  /** The same of files in the trash, all together. */
  trashed: number;
}

/** The last lines: all is well, or how much of what is not. */
export function formatVerdict(figures: FsckFigures, paint: Paint = plain): string[] {
  const { chunks, findings, repaired, lost, endangered, short, trashed } = figures;
  const checked = `Checked the catalog and ${formatCount(chunks, "chunk")}`;
  const wrong = [
    count(findings.catalog, "contradiction in the catalog", "contradictions in the catalog"),
    count(findings.missing, "copy is missing", "copies are missing"),
    count(findings["wrong-size"], "copy has a wrong size", "copies have a wrong size"),
    count(findings.unreachable, "copy could not be looked at", "copies could not be looked at"),
  ].flat();
  const files = [
    count(lost, "file is lost", "files are lost"),
    count(endangered, "file has one copy left", "files have one copy left"),
    count(
      short,
      "file has fewer copies than it should",
      "files have fewer copies than they should",
    ),
    count(
      trashed,
      "file in the trash has too few copies",
      "files in the trash have too few copies",
    ),
  ].flat();
  const unused = [
    count(findings.orphan, "chunk is needed by nothing", "chunks are needed by nothing"),
    count(
      findings.unrecorded,
      "copy is unknown to the catalog",
      "copies are unknown to the catalog",
    ),
  ].flat();
  const verdict = wrong.length === 0
    ? `${checked}: every copy on record is there`
    : paint("doubtful", `${checked}: ${wrong.join(", ")}`);
  return [
    verdict,
    ...(files.length === 0 ? [] : [paint(lost > 0 ? "bad" : "doubtful", files.join(", "))]),
    ...(repaired === 0 ? [] : [
      `${
        formatCount(repaired, "record")
      } corrected: new copies are being made where there are others`,
    ]),
    ...(unused.length === 0 ? [] : [`${unused.join(", ")}: removed when their time has come`]),
  ];
}

function head(word: string, paint: Paint): string {
  const tone = TONES[word];
  const padded = word.padEnd(11);
  return tone === undefined ? padded : paint(tone, padded);
}

function count(number: number, one: string, many: string): string[] {
  return number === 0 ? [] : [formatCount(number, one, many)];
}
