/**
 * Mirrors a keeper's heartbeats into the master's PortTable, so that its counts converge to the
 * keeper's own: slots whose streams live are prolonged, those whose streams have ended are freed,
 * and streams without a slot count as readers.
 */
import { portRow, PORTS_MAX, type PortTable, rowOfGrant } from "../tables/port_table.ts";
import type { PortBeat } from "../wire/heartbeat.ts";
import { SLOT_LEASE_MS } from "./slots.ts";

export class BeatMirror {
  readonly #ports: PortTable;
  /** The own grants that each row's latest beat listed. */
  readonly #listedByRow = new Map<number, Set<number>>();

  constructor(ports: PortTable) {
    this.#ports = ports;
  }

  /** Takes over the ports of one beat; `known` are the keeper's ports as it registered them. */
  mirror(
    keeperNumber: number,
    known: readonly number[],
    beats: readonly PortBeat[],
    nowMs: number,
  ): void {
    for (const [index, port] of known.slice(0, PORTS_MAX).entries()) {
      const row = portRow(keeperNumber, index);
      const beat = beats.find((each) => each.port === port);
      if (beat === undefined) this.#close(row);
      else this.#mirrorPort(row, beat, nowMs);
    }
    for (let index = known.length; index < PORTS_MAX; index++) {
      this.#close(portRow(keeperNumber, index));
    }
  }

  /** Takes all ports of a keeper out of service. */
  close(keeperNumber: number): void {
    for (let index = 0; index < PORTS_MAX; index++) this.#close(portRow(keeperNumber, index));
  }

  #mirrorPort(row: number, beat: PortBeat, nowMs: number): void {
    this.#ports.open(row, beat.port, beat.slots);
    const listed = new Set<number>();
    let leased = 0;
    for (const grant of beat.grants) {
      // A chain's head lists the grants of its later hops too: they live as long as the head's
      // stream.
      const renewed = this.#ports.renew(grant, nowMs, SLOT_LEASE_MS);
      if (rowOfGrant(grant) !== row) continue;
      listed.add(grant);
      if (renewed) leased++;
    }
    // Only a port's own grants are freed by their absence: one that a head no longer lists may be
    // in use down the chain.
    for (const grant of this.#listedByRow.get(row) ?? []) {
      if (!listed.has(grant)) this.#ports.release(grant);
    }
    this.#listedByRow.set(row, listed);
    // Streams that hold a slot here are counted by it; what is left are readers, and writers whose
    // slot has run out.
    const readers = Math.max(0, beat.inUse - leased);
    const { bytesIn, bytesOut } = beat;
    this.#ports.mirror(row, { readers, bytesIn, bytesOut }, nowMs);
  }

  #close(row: number): void {
    if (this.#listedByRow.delete(row) || this.#ports.port(row) !== 0) this.#ports.close(row);
  }
}
