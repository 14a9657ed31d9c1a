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

function hmac(key: string, text: string): string {
  return new Bun.CryptoHasher("sha256", key).update(text).digest("hex");
}
