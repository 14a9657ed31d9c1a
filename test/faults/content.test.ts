/** The generator: the same bytes here and in the checker, which has nothing of this code. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { join } from "node:path";
import { sumsOf } from "../../src/wire/sums.ts";
import { fileChecksum } from "../../src/wire/sums.ts";
import { BLOCK_BYTES, Content, Summer } from "./content.ts";

const SIZES = [0, 1, 8, 4095, 4096, 4097, 1_000_000, BLOCK_BYTES, BLOCK_BYTES + 1, 5_000_000];

test("Content makes the bytes that the checker makes", () => {
  const script = `
import hashlib, json, sys
sys.path.insert(0, sys.argv[1])
import content
sizes = json.loads(sys.argv[2])
made = [b"".join(content.blocks("7:/a é#3", size)) for size in sizes]
print(json.dumps([[len(bytes), hashlib.sha256(bytes).hexdigest()] for bytes in made]))
`;
  const folder = join(import.meta.dir, "checker");
  const command = ["/usr/bin/python3", "-B", "-c", script, folder, JSON.stringify(SIZES)];
  const run = Bun.spawnSync(command);
  const own = SIZES.map((size) => {
    const bytes = new Content("7:/a é#3", size).bytes();
    return [bytes.length, new Bun.CryptoHasher("sha256").update(bytes).digest("hex")];
  });
  expect(run.stderr.toString()).toBe("");
  expect(JSON.parse(run.stdout.toString())).toEqual(own);
});

test("Content.blocks gives all of its bytes in order, and names differ", () => {
  const content = new Content("x", 3 * BLOCK_BYTES + 77);
  const whole = Buffer.concat([...content.blocks()]);
  expect(whole.equals(content.bytes())).toBe(true);
  expect(whole.equals(new Content("y", whole.length).bytes())).toBe(false);
  expect(content.digest()).toBe(fileChecksum([sumsOf(whole)]));
});

test("Summer does not care how bytes are cut", () => {
  const bytes = new Content("cut", 2 * BLOCK_BYTES + 5).bytes();
  const cuts = fc.array(fc.integer({ min: 1, max: BLOCK_BYTES * 2 }), { maxLength: 8 });
  fc.assert(
    fc.property(cuts, (lengths) => {
      const summer = new Summer();
      let at = 0;
      for (const length of [...lengths, bytes.length]) {
        summer.add(bytes.subarray(at, at + length));
        at = Math.min(bytes.length, at + length);
      }
      return summer.sizeBytes === bytes.length && summer.digest() === fileChecksum([sumsOf(bytes)]);
    }),
    { numRuns: 20 },
  );
});
