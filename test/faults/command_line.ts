/** Commands of the system that fault tests use: mount, ip, nft and the like. */

/** Runs a command to its end and returns its stdout; throws with what it said when it fails. */
export function mustRun(command: readonly string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (exitCode === 0) return stdout.toString();
  throw new Error(`${command.slice(0, 4).join(" ")} … → ${exitCode}: ${stderr.toString().trim()}`);
}
