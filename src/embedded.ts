/**
 * What `build.ts` has put into the binary: facts of the build and a nats-server. Uncompiled there
 * is neither, and the facts are those of the checkout.
 */
import packageJson from "../package.json" with { type: "json" };

/** Facts of a build. */
export interface BuildInfo {
  /** The version of tydfs. */
  version: string;
  /** The commit it was built from, with `-dirty` when files differed from it. */
  commit: string;
  /** The platform it was built for, e.g. `linux-x64`. */
  target: string;
  /** The version of the embedded nats-server; empty when there is none. */
  nats: string;
  /** The version of Bun. */
  bun: string;
}

// Replaced by a literal when build.ts compiles.
declare const TYDFS_BUILD_INFO: {
  version: string;
  commit: string;
  target: string;
  natsServer: string | null;
};

export const buildInfo: BuildInfo = readBuildInfo();

/** The embedded nats-server's executable; undefined when this binary carries none. */
export function embeddedNatsServer(): Blob | undefined {
  return Bun.embeddedFiles.find((file) => (file as File).name.endsWith("nats-server"));
}

function readBuildInfo(): BuildInfo {
  const bun = Bun.version;
  if (typeof TYDFS_BUILD_INFO === "undefined") {
    const { version } = packageJson;
    return { version, commit: "uncompiled", target: "source", nats: "", bun };
  }
  const { version, commit, target, natsServer } = TYDFS_BUILD_INFO;
  return { version, commit, target, nats: natsServer ?? "", bun };
}
