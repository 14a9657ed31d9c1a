/**
 * What is derived from the cluster key: one secret a role for NATS, and the key that signs tickets.
 * Keepers derive the ticket key from their own secret; clients can derive neither.
 */
import type { Role } from "./url.ts";

/** The secret of a role, from the cluster key (HMAC-SHA256, hexadecimal). */
export function roleSecret(clusterKey: string, role: Role): string {
  return hmac(clusterKey, `role:${role}`);
}

/** The key that signs tickets, from the keeper role's secret. */
export function ticketKey(keeperSecret: string): string {
  return hmac(keeperSecret, "tickets");
}

/**
 * The cluster key as it may lie in archives: only who knows the keepers' secret can open it. One
 * key is all that is ever sealed with one secret, so that a mask of the key's length will do.
 */
export function sealKey(clusterKey: string): string {
  return mask(roleSecret(clusterKey, "keeper"), clusterKey);
}

/** The cluster key that was sealed; undefined when `keeperSecret` is another cluster's. */
export function openSealedKey(keeperSecret: string, sealed: string): string | undefined {
  const clusterKey = mask(keeperSecret, sealed);
  return roleSecret(clusterKey, "keeper") === keeperSecret ? clusterKey : undefined;
}

/** 64 hexadecimal digits, each exclusive-or that of the secret's own mask. */
function mask(keeperSecret: string, digits: string): string {
  const pad = Uint8Array.fromHex(hmac(keeperSecret, "seal"));
  return Uint8Array.fromHex(digits).map((byte, at) => byte ^ (pad[at] ?? 0)).toHex();
}

function hmac(key: string, text: string): string {
  return new Bun.CryptoHasher("sha256", key).update(text).digest("hex");
}
