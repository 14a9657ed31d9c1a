/** Tickets: only this cluster's own, in time, unaltered. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { TydfsError } from "../../src/wire/errors.ts";
import { ticketKey } from "../../src/wire/secrets.ts";
import type { PutTicket } from "../../src/wire/ticket.ts";
import { CLOCK_LEEWAY_MS, openTicket, signTicket } from "../../src/wire/ticket.ts";

const KEY = ticketKey("a".repeat(64));
const ID = "0123456789abcdef".repeat(2);
const NOW = 1_700_000_000_000;

function putTicket(blocks: number): PutTicket {
  return {
    op: "put",
    chunk: ID,
    sizeBytes: blocks * 2 ** 20,
    sums: new Uint8Array(blocks * 8).fill(7),
    origin: { path: "/videos/ä b.mp4", upload: ID, seq: 3, offset: 3 * 2 ** 26 },
    hops: [1, 2, 3].map((n) => ({
      keeper: ID,
      host: "keeper.lan",
      port: 7000 + n,
      grant: 2 ** 32 - n,
    })),
    minCopies: 2,
    goal: 3,
    commit: { mode: 0o644, mtimeMs: NOW, owner: "anna", exclusive: false },
    expiresMs: NOW,
  };
}

function codeOf(run: () => unknown): string {
  try {
    run();
    return "accepted";
  } catch (error) {
    return error instanceof TydfsError ? error.code : String(error);
  }
}

test("signTicket and openTicket are inverse, for the largest chunk within a header's room", () => {
  for (const blocks of [0, 1, 64, 256]) {
    const text = signTicket(KEY, putTicket(blocks));
    expect(openTicket(KEY, text, NOW)).toEqual(putTicket(blocks));
    expect(text.length).toBeLessThan(8192);
  }
});

test("openTicket refuses another cluster's, altered, expired and malformed tickets", () => {
  const text = signTicket(KEY, putTicket(1));
  expect(codeOf(() => openTicket(ticketKey("other"), text, NOW))).toBe("denied");
  expect(codeOf(() => openTicket(KEY, text, NOW + CLOCK_LEEWAY_MS))).toBe("accepted");
  expect(codeOf(() => openTicket(KEY, text, NOW + CLOCK_LEEWAY_MS + 1))).toBe("expired");
  expect(codeOf(() => openTicket(KEY, "", NOW))).toBe("denied");
  expect(codeOf(() => openTicket(KEY, "x".repeat(20_000), NOW))).toBe("invalid");
});

test("openTicket survives any text and any flipped byte", () => {
  fc.assert(fc.property(fc.string({ maxLength: 300 }), (text) => {
    expect(codeOf(() => openTicket(KEY, text, NOW))).toBe("denied");
  }));
  const bytes = Buffer.from(signTicket(KEY, putTicket(1)), "base64url");
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const altered = Buffer.from(bytes);
      altered[at] = (altered[at] ?? 0) ^ mask;
      expect(codeOf(() => openTicket(KEY, altered.toString("base64url"), NOW))).toBe("denied");
    }),
  );
});
