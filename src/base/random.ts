/**
 * The one door to randomness. A `Random` is a constructor argument; the seeded one makes a run
 * replayable from a single number.
 */

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** `length` random bytes. From the system source they are fit for secrets and ids. */
  bytes(length: number): Uint8Array;
}

/** The system's cryptographic source. */
export const systemRandom: Random = {
  next: () => Math.random(),
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
};

/**
 * A replayable source (mulberry32 by Tommy Ettinger, public domain): for tests and simulation,
 * never for secrets.
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = state;
    word = Math.imul(word ^ (word >>> 15), word | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  }
  return {
    next,
    bytes: (length) => Uint8Array.from({ length }, () => Math.floor(next() * 256)),
  };
}

/** A whole number in [0, limit). */
export function randomInt(random: Random, limit: number): number {
  return Math.floor(random.next() * limit);
}

/** `length` random bytes as lower-case hexadecimal (2 × `length` characters). */
export function randomHex(random: Random, length: number): string {
  return random.bytes(length).toHex();
}
