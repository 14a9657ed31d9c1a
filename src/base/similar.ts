/** Near misses of typing: which of the known words somebody may have meant. */

/** Edits beyond which two words are not alike, however long. */
const EDITS_MAX = 3;

/**
 * The candidate that is most like `word`, when one is alike enough to be asked about: at most three
 * edits, and fewer in short words. Letters that differ in case only count as a quarter of an edit.
 */
export function similarWord(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestEdits = Infinity;
  for (const candidate of candidates) {
    if (candidate === word) continue;
    const edits = editsBetween(word, candidate);
    if (edits < bestEdits && edits <= editsAllowed(word, candidate)) {
      best = candidate;
      bestEdits = edits;
    }
  }
  return best;
}

/** `; did you mean "x"?` to end a message with, or nothing. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const similar = similarWord(word, candidates);
  return similar === undefined ? "" : `; did you mean "${similar}"?`;
}

function editsAllowed(left: string, right: string): number {
  const shorter = Math.min(left.length, right.length);
  return Math.min(EDITS_MAX, Math.ceil(shorter / 3));
}

/** Insertions, deletions, changes and swaps of neighbours that lead from one word to the other. */
function editsBetween(left: string, right: string): number {
  if (Math.abs(left.length - right.length) > EDITS_MAX) return Infinity;
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const row = [i];
    for (let j = 1; j <= right.length; j++) {
      const change = (last[j - 1] ?? 0) + costOf(left[i - 1], right[j - 1]);
      let edits = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, change);
      if (i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1]) {
        edits = Math.min(edits, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(edits);
    }
    beforeLast = last;
    last = row;
  }
  return last[right.length] ?? Infinity;
}

function costOf(left = "", right = ""): number {
  if (left === right) return 0;
  return left.toLowerCase() === right.toLowerCase() ? 0.25 : 1;
}
