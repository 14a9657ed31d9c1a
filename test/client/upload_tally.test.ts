/** The count of an upload that goes on: what was promised, what was kept of it, what was sent. */
import { expect, test } from "bun:test";
import type { Progress } from "../../src/client/client.ts";
import { UploadTally } from "../../src/client/upload_tally.ts";

function tallyOf(promisedBytes: number, totalBytes: number | undefined) {
  const shown: Progress[] = [];
  const tally = new UploadTally(promisedBytes, () => totalBytes, (progress) => {
    shown.push(progress);
  });
  const add = (seq: number, wasThere: boolean) =>
    tally.add({ seq, offset: seq * 10, sizeBytes: 10 }, wasThere);
  return { tally, add, shown };
}

test("UploadTally starts with the promise, and ends with what was true of it", () => {
  const { tally, add, shown } = tallyOf(25, 40);
  tally.tell();
  for (const [seq, wasThere] of [true, false, true, false].entries()) add(seq, wasThere);
  expect(shown.map(({ doneBytes, resumedBytes }) => [doneBytes, resumedBytes])).toEqual([
    [25, 25],
    [25, 25],
    [25, 15],
    [30, 20],
    [40, 20],
  ]);
  expect(tally.resumedBytes).toBe(20);
});

test("UploadTally takes a promise back before the chunk is sent, and once", () => {
  const { tally, add } = tallyOf(40, 40);
  const chunk = { seq: 1, offset: 10, sizeBytes: 10 };
  tally.mustSend(chunk);
  tally.mustSend(chunk);
  expect(tally.doneBytes).toBe(30);
  add(1, false);
  expect(tally.doneBytes).toBe(40);
  for (const seq of [3, 0, 2]) add(seq, true);
  expect([tally.doneBytes, tally.resumedBytes]).toEqual([40, 30]);
});

test("UploadTally never promises more than the file has", () => {
  expect(tallyOf(100, 40).tally.doneBytes).toBe(40);
  expect(tallyOf(100, undefined).tally.doneBytes).toBe(0);
});

test("UploadTally counts parts of chunks, but not as stored", () => {
  const { tally, add, shown } = tallyOf(0, 20);
  const first = { seq: 0, offset: 0, sizeBytes: 10 };
  const second = { seq: 1, offset: 10, sizeBytes: 10 };
  tally.part(first, 4);
  tally.part(second, 3);
  tally.part(first, 0);
  expect([tally.doneBytes, tally.storedBytes]).toEqual([3, 0]);
  add(0, false);
  add(1, false);
  expect([tally.doneBytes, tally.storedBytes]).toEqual([20, 20]);
  expect(shown.map(({ doneBytes }) => doneBytes)).toEqual([4, 7, 3, 13, 20]);
});
