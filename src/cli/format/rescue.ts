/** What a rescue tells of files, as people read it. */
import { formatSize } from "../../base/bytes.ts";
import type { Gap } from "../../rescue/plan.ts";
import type { FileOutcome, RescueSummary } from "../../rescue/rescue.ts";
import { quotePath } from "../../wire/names.ts";
import type { Paint, Tone } from "../color.ts";
import { plain } from "../color.ts";
import { formatCount } from "./format.ts";
import { printable } from "../output.ts";

const TONES: Readonly<Record<string, Tone>> = {
  "incomplete": "bad",
  "damaged": "bad",
  "failed": "bad",
  "in-the-way": "doubtful",
  "hidden": "doubtful",
};

/** The line of one file. */
export function formatOutcome(outcome: FileOutcome, paint: Paint = plain): string {
  const { kind, path, sizeBytes } = outcome;
  const head = kind.padEnd(10);
  const tone = TONES[kind];
  const size = sizeBytes === undefined ? [] : [formatSize(sizeBytes)];
  const words = [quotePath(path), ...size, ...detailsOf(outcome)];
  return `${tone === undefined ? head : paint(tone, head)}  ${words.join(" · ")}`;
}

/** Whether a file is worth a line of its own when all goes well otherwise. */
export function isNoteworthy(outcome: FileOutcome): boolean {
  if (outcome.kind === "present") return false;
  return outcome.kind !== "whole" || !outcome.certain || outcome.older || outcome.joined;
}

/** The last lines. */
export function formatRescue(
  summary: RescueSummary,
  { listed, directories }: { listed: boolean; directories: number },
  paint: Paint = plain,
): string[] {
  const { outcomes, bytes, uncertain, older, mendedBlocks } = summary;
  const files = `${formatCount(outcomes.whole, "file")} (${formatSize(bytes)})`;
  const from = formatCount(directories, "directory", "directories");
  const done = listed
    ? `${files} can be rescued from ${from}`
    : `Rescued ${files} from ${from}; every block matched its sum`;
  const bad = [
    count(outcomes.incomplete, "file is incomplete", "files are incomplete"),
    count(outcomes.damaged, "file is damaged in all copies", "files are damaged in all copies"),
    count(outcomes.failed, "file could not be written", "files could not be written"),
  ].flat();
  const notes = [
    count(outcomes.present, "file was there already", "files were there already"),
    count(
      outcomes["in-the-way"],
      "name is taken by something else",
      "names are taken by other things",
    ),
    count(outcomes.hidden, "file gave way to a newer name", "files gave way to newer names"),
    count(older, "file is an older version", "files are older versions"),
    count(uncertain, "file may lack its end", "files may lack their ends"),
    count(
      mendedBlocks,
      "block was taken from a second copy",
      "blocks were taken from second copies",
    ),
    count(
      summary.nameless,
      "chunk does not say of which file it is",
      "chunks don't say of which file",
    ),
    count(summary.unreadable, "sidecar can't be read", "sidecars can't be read"),
    count(summary.bare, "chunk has no sidecar", "chunks have no sidecar"),
  ].flat();
  return [
    done,
    ...(bad.length === 0 ? [] : [paint("bad", bad.join(", "))]),
    ...(notes.length === 0 ? [] : [notes.join(", ")]),
  ];
}

function detailsOf(outcome: FileOutcome): string[] {
  switch (outcome.kind) {
    case "whole":
      return [
        ...(outcome.older ? ["an older version: the newest is not whole"] : []),
        ...(outcome.joined ? ["put together with what an interrupted upload had stored"] : []),
        ...(outcome.certain ? [] : ["its end may be missing: it was put as a stream"]),
      ];
    case "incomplete":
      return [
        `${formatGaps(outcome.missing)} missing`,
        ...(outcome.hasOlder ? ["an older version is whole: --older"] : []),
      ];
    case "damaged":
      return [
        printable(outcome.reason),
        ...(outcome.hasOlder ? ["an older version may be whole: --older"] : []),
      ];
    case "present":
      return ["there already"];
    case "in-the-way":
      return ["something else is there: --overwrite replaces files"];
    case "hidden":
      return [`${quotePath(outcome.by)} is newer, and both can't be`];
    case "failed":
      return [printable(outcome.reason)];
  }
}

function formatGaps(gaps: readonly Gap[]): string {
  const words = gaps.map(({ start, end }) =>
    end === undefined ? `from byte ${start} on` : `bytes ${start}–${end - 1}`
  );
  return words.join(", ");
}

function count(number: number, one: string, many: string): string[] {
  return number === 0 ? [] : [formatCount(number, one, many)];
}
