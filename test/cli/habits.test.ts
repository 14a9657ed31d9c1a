/** Command lines as they are typed elsewhere. */
import { expect, test } from "bun:test";
import { spellOut } from "../../src/cli/habits.ts";

const LINES: [string, string][] = [
  ["head -5 /a", "head --lines 5 /a"],
  ["tail -20 /a /b", "tail --lines 20 /a /b"],
  ["tail -n -5 /a", "tail -n -5 /a"],
  ["ls -la /", "ls -l /"],
  ["ls -ltrh /", "ls -ltr /"],
  ["ls -1 /", "ls /"],
  ["ls -h", "ls -h"],
  ["ls -- -la", "ls -- -la"],
  ["du -sh /", "du -s /"],
  ["cp -R /a /b", "cp -r /a /b"],
  ["cp -Rf /a /b", "cp -r /a /b"],
  ["cp -ar /a /b", "cp -r /a /b"],
  ["mv -f /a /b", "mv /a /b"],
  ["rm -Rf /a", "rm -rf /a"],
  ["find / --size -10MiB", "find / --size -10MiB"],
  ["toString -a", "toString -a"],
];

for (const [typed, taken] of LINES) {
  test(`spellOut takes "${typed}" for "${taken}"`, () => {
    expect(spellOut(typed.split(" "))).toEqual(taken.split(" "));
  });
}
