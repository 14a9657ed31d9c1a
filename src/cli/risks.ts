/** Looks for files in danger, as long as the user asks for, or as long as nobody minds. */
import type { TydfsClient } from "../client/client.ts";
import { TydfsError } from "../wire/errors.ts";
import { NAMED_FILES, RiskBook } from "./format/risk.ts";

/** `status` is not to be kept waiting by what it tells besides. */
const LOOK_MS = 3_000;
const LOOK_PAGES = 64;

/** What was found. */
export interface RiskLook {
  book: RiskBook;
  /** All chunks were looked at. */
  whole: boolean;
  /** Why they were not, when something failed. */
  failure?: string;
}

/** All files that would be in danger without some keepers. Throws `not-found` (a keeper). */
export async function findRisks(
  client: TydfsClient,
  without: readonly string[],
  signal: AbortSignal,
): Promise<RiskBook> {
  const book = new RiskBook();
  for await (const page of client.operator.risks(without, { signal })) book.add(page);
  return book;
}

/** The first files that are lost or have one copy left; bounded in time, and never fails. */
export async function glanceAtRisks(client: TydfsClient, signal: AbortSignal): Promise<RiskLook> {
  const book = new RiskBook();
  const soon = AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]);
  try {
    let pages = 0;
    for await (const page of client.operator.risks([], { signal: soon })) {
      book.add(page);
      const found = book.list(["lost", "endangered"]).length;
      if (found > NAMED_FILES || ++pages >= LOOK_PAGES) return { book, whole: false };
    }
    return { book, whole: true };
  } catch (error) {
    if (signal.aborted) throw error;
    if (soon.aborted || !(error instanceof TydfsError)) return { book, whole: false };
    return { book, whole: false, failure: error.message };
  }
}
