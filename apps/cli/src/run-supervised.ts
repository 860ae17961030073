import { leadProcessGroup, replaceArgument } from "@proj/ipc";
import { SPARE, type SupervisedRole } from "./child-message.ts";
import { Logs } from "./logs.ts";
import { complaintOf, GRACE_MS, loadSide, loadWhole, START, serveUntil } from "./serve-side.ts";
import { aborted, hangupMeans, type StopRequest } from "./stop-request.ts";
import { SupervisorLink } from "./supervisor-link.ts";

/** When the supervisor is dead, open requests may take this long: its successor wants the ports and the channel. */
const ORPHAN_GRACE_MS = 1_000;

/**
 * Runs the proxy or the cache in this process, as its supervisor says, until a stop is asked for or the supervisor is gone. Clients may be waiting while it starts: the code is
 * loaded while the supervisor answers, and nothing is read that the supervisor has read. A spare one waits with its code loaded, and begins when it is told what holds then.
 *
 * @returns The exit code. Why it is not 0 the supervisor has been told.
 */
export async function runSupervised({ side, isSpare }: SupervisedRole, stop: StopRequest): Promise<number> {
  const supervisor = new SupervisorLink();
  leadProcessGroup(); // a terminal's signals are the supervisor's
  hangupMeans(() => {}); // nobody but the supervisor is to say when it ends
  const stopped = AbortSignal.any([stop.asked, supervisor.gone]);
  let loading = Promise.resolve(START[side]);
  const wanted = supervisor.settings((threads) => {
    loading = loadWhole(side, threads);
    loading.catch(() => {}); // its start will say so
  });
  loadSide(side);
  const settings = await Promise.race([aborted(stopped), wanted]);
  if (settings === undefined) return 0;
  if (isSpare) replaceArgument(SPARE, side);
  await using logs = new Logs(settings.options, side);
  try {
    await serveUntil(
      stopped,
      async () => (await loading)(settings, logs.log),
      (serving) => {
        supervisor.obey(serving);
        supervisor.send({ type: "ready" });
      },
      { graceMs: () => (supervisor.gone.aborted ? ORPHAN_GRACE_MS : GRACE_MS), isSupervised: true },
    );
    return 0;
  } catch (error) {
    supervisor.send({ type: "failed", message: complaintOf(error) });
    return 1;
  }
}
