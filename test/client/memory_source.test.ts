/** Puts from memory, of any number of chunks. */
import { expect, test } from "bun:test";
import { MIB } from "../../src/base/bytes.ts";
import { FakeCluster } from "./fake_cluster.ts";
import { someBytes } from "./scratch.ts";

for (const sizeBytes of [0, 1, MIB + 1, 9 * MIB]) {
  test(`putMemory stores ${sizeBytes} bytes as they are`, async () => {
    const cluster = new FakeCluster();
    const bytes = someBytes(sizeBytes);
    const result = await cluster.client.putMemory(bytes, "/a");
    expect(result.sizeBytes).toBe(sizeBytes);
    expect(Buffer.compare(cluster.content("/a"), bytes)).toBe(0);
  });
}

test("putMemory asks for pieces of 64 MiB at most", async () => {
  const cluster = new FakeCluster({ chunkBytes: 128 * MIB });
  const piece = someBytes(64 * MIB);
  const asked: number[] = [];
  const slice = (start: number, end: number) => {
    asked.push(end - start);
    return piece.subarray(0, end - start);
  };
  await cluster.client.putMemory({ sizeBytes: 65 * MIB, slice }, "/a");
  expect(new Set(asked)).toEqual(new Set([64 * MIB, MIB]));
  expect(cluster.file("/a").bytes).toBe(65 * MIB);
});
