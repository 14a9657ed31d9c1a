/** The cluster key, sealed: opened by the keepers' secret alone. */
import { expect, test } from "bun:test";
import { openSealedKey, roleSecret, sealKey } from "../../src/wire/secrets.ts";

test("openSealedKey opens with the keepers' secret of the same cluster, and nothing else", () => {
  const key = "0123456789abcdef".repeat(4);
  const sealed = sealKey(key);
  expect(sealed).toMatch(/^[0-9a-f]{64}$/);
  expect(sealed).not.toBe(key);
  expect(openSealedKey(roleSecret(key, "keeper"), sealed)).toBe(key);
  expect(openSealedKey(roleSecret(key, "client"), sealed)).toBeUndefined();
  expect(openSealedKey(roleSecret("ab".repeat(32), "keeper"), sealed)).toBeUndefined();
});
