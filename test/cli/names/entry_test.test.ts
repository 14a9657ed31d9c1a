/** What `find` finds. */
import { expect, test } from "bun:test";
import type { FindFlags } from "../../../src/cli/names/entry_test.ts";
import { makeEntryTest } from "../../../src/cli/names/entry_test.ts";
import type { Entry } from "../../../src/client/client.ts";
import { LINK_MODE } from "../../../src/wire/file.ts";

const NOW_MS = Date.UTC(2024, 5, 15, 12);
const DAY_MS = 86_400_000;
const FILE: Entry = {
  path: "/v/a.mp4",
  kind: "file",
  size: 1000,
  version: 1,
  mtimeMs: NOW_MS - 2 * DAY_MS,
  mode: 0o644,
  owner: "ann",
  checksum: "",
  updating: false,
};
const DIRECTORY: Entry = { ...FILE, path: "/v", kind: "directory", size: 0 };
const LINK: Entry = { ...FILE, path: "/v/l", mode: LINK_MODE };

const CASES: [FindFlags, Entry[]][] = [
  [{}, [FILE, DIRECTORY, LINK]],
  [{ type: "f" }, [FILE]],
  [{ type: "d" }, [DIRECTORY]],
  [{ type: "l" }, [LINK]],
  [{ name: "*.mp4" }, [FILE]],
  [{ name: "/v/?" }, [LINK]],
  [{ size: "1000" }, [FILE, LINK]],
  [{ size: "+999" }, [FILE, LINK]],
  [{ size: "+1000" }, []],
  [{ size: "-1KiB" }, [FILE, LINK]],
  [{ size: "-1000" }, []],
  [{ newer: "3d" }, [FILE, DIRECTORY, LINK]],
  [{ newer: "1d" }, []],
  [{ older: "1d" }, [FILE, DIRECTORY, LINK]],
  [{ older: "3d" }, []],
  [{ newer: "2024-06-10" }, [FILE, DIRECTORY, LINK]],
  [{ newer: "2024-06-14" }, []],
  [{ older: "2024-06-13T13:00Z" }, [FILE, DIRECTORY, LINK]],
  [{ owner: "ann", type: "f" }, [FILE]],
  [{ owner: "bob" }, []],
];

for (const [flags, found] of CASES) {
  test(`makeEntryTest of ${JSON.stringify(flags)} finds ${found.length}`, () => {
    const isFound = makeEntryTest(flags, NOW_MS);
    expect([FILE, DIRECTORY, LINK].filter(isFound)).toEqual(found);
  });
}

test("makeEntryTest finds the root by no time, as it has none", () => {
  const root: Entry = { ...DIRECTORY, path: "/", mtimeMs: 0 };
  expect(makeEntryTest({ older: "1d" }, NOW_MS)(root)).toBe(false);
  expect(makeEntryTest({ newer: "1000d" }, NOW_MS)(root)).toBe(false);
  expect(makeEntryTest({ type: "d" }, NOW_MS)(root)).toBe(true);
});

test("makeEntryTest refuses what is no value", () => {
  const wrong: FindFlags[] = [
    { type: "x" },
    { size: "+" },
    { size: "big" },
    { newer: "soon" },
    { newer: "2024-99-99" },
    { older: "June 3" },
  ];
  for (const flags of wrong) expect(() => makeEntryTest(flags, NOW_MS)).toThrow(/^Cannot use "/);
});
