/** The facts of the machine that a table of figures is worth nothing without. */
import { cpus, release, totalmem } from "node:os";
import { formatSize } from "../../src/base/bytes.ts";
import { runTool } from "./processes.ts";

/** CPU, memory, kernel, the disk under `directory`, and the time, a line each. */
export async function machineFacts(directory: string): Promise<string[]> {
  const [cpu] = cpus();
  const [, line = ""] = (await runTool(["df", "-PT", directory])).split("\n");
  const [device = "?", filesystem = "?"] = line.split(/\s+/);
  return [
    `CPU: ${cpus().length} × ${cpu?.model.trim()}`,
    `Memory: ${formatSize(totalmem())}`,
    `Kernel: ${process.platform} ${release()} ${process.arch}`,
    `Disk: ${filesystem} on ${device}${await diskKind(device)}`,
    `Bun ${Bun.version}`,
    `Load at the start: ${
      (await Bun.file("/proc/loadavg").text()).split(" ").slice(0, 3).join(" ")
    }`,
    `Time: ${new Date().toISOString().slice(0, 16)} UTC`,
  ];
}

async function diskKind(device: string): Promise<string> {
  if (!device.startsWith("/dev/")) return "";
  try {
    const told = await runTool(["lsblk", "-dno", "ROTA,MODEL,SIZE", device]);
    const [rotates, ...rest] = told.trim().split(/\s+/);
    return ` (${rotates === "1" ? "says that it rotates" : "solid state"}, ${rest.join(" ")})`;
  } catch {
    // A device that lsblk knows nothing of is still named.
    return "";
  }
}
