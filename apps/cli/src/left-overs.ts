import { clean } from "@proj/ipc";
import { channelNames } from "@proj/protocol";

/** Removes the IPC objects of the channel whose makers are dead and which nobody holds: what a killed process left behind. */
export function removeLeftOvers(channel: string): void {
  clean({ prefix: channelNames(channel).prefix });
}
