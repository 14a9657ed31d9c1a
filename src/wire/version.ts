/** Versions that two parties compare before they trust each other's words. */

/**
 * The version of messages and tickets. It grows with every change of a schema that old peers can't
 * read.
 */
export const PROTOCOL_VERSION = 3;

/** The version of a keeper's data directory. */
export const KEEPER_FORMAT_VERSION = 1;

/** The version of a master's data directory, but for the catalog in it. */
export const MASTER_FORMAT_VERSION = 1;

/** The version of the catalog. */
export const CATALOG_FORMAT_VERSION = 6;
