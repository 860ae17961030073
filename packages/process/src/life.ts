import { ExclusiveLock, type ObjectName, objectName, SharedMemory, startTimeOf } from "@proj/ipc";
import {
  channelNames,
  clearControlBlock,
  controlBlockBytes,
  type Side,
  writeControlBlock,
  writeOriginNames,
  writePorts,
  writeProcessState,
} from "@proj/protocol/process";
import { type Heartbeat, startHeartbeat } from "./heartbeat.ts";

/** Another process of this side has the channel. */
export class ChannelInUseError extends Error {
  readonly code = "ERR_CHANNEL_IN_USE";

  constructor(side: Side, channel: string, pid: number) {
    super(
      `Cannot start the ${side} of channel "${channel}": process ${pid} is that already. ` +
        "Stop it, or choose another channel with --channel",
    );
    this.name = "ChannelInUseError";
  }
}

/**
 * One life of the proxy or the cache on a channel: the lock that keeps a second one out, and the control block that tells peers who
 * lives. Whatever kills the process, the kernel drops the lock, so the next life knows that this one is over.
 */
export class Life implements Disposable {
  readonly channel: string;
  readonly number: number;
  readonly control: SharedMemory;
  readonly #lock: ExclusiveLock;
  readonly #heartbeat: Heartbeat;

  private constructor(channel: string, number: number, control: SharedMemory, lock: ExclusiveLock) {
    this.channel = channel;
    this.number = number;
    this.control = control;
    this.#lock = lock;
    this.#heartbeat = startHeartbeat(control, "main");
  }

  /**
   * Begins a life: takes the lock, removes what a former life left, publishes a control block in state `starting`.
   *
   * @param goesOnWithFormer Take over the control block of the life before, if there is one that is as good as a new one: where there is no memory for another. Default: false.
   * @param removeLeftovers Unlinks every object that a former life of this side may have left, apart from lock and control block. Called with the lock held.
   * @throws {ChannelInUseError} Another process of this side lives on the channel.
   * @throws {SystemCallError} `ENOSPC`: /dev/shm is full. `EACCES`: another user has the name.
   */
  static begin(options: {
    side: Side;
    channel: string;
    threads: number;
    segments?: number;
    segmentBytes?: number;
    /** Scheme, host and port of each origin, for whoever reads what the threads have seen of them. */
    originNames: readonly string[];
    goesOnWithFormer?: boolean;
    removeLeftovers: () => void;
  }): Life {
    const names = channelNames(options.channel);
    const lock = ExclusiveLock.tryAcquire(objectName(names.lock(options.side)));
    if (!(lock instanceof ExclusiveLock)) throw new ChannelInUseError(options.side, options.channel, lock.heldByPid);
    try {
      const name = objectName(names.controlBlock(options.side));
      const former = options.goesOnWithFormer === true ? formerControlBlock(name, options.threads) : undefined;
      if (former === undefined) SharedMemory.unlink(name);
      options.removeLeftovers();
      const control = former ?? SharedMemory.create(name, controlBlockBytes(options.threads));
      writeOriginNames(control.buffer, options.originNames);
      const number = crypto.getRandomValues(new Uint32Array(1))[0]! || 1;
      writeControlBlock(control.buffer, {
        life: number,
        pid: process.pid,
        startTime: startTimeOf(process.pid) ?? 0,
        state: "starting",
        threads: options.threads,
        segments: options.segments ?? 0,
        segmentBytes: options.segmentBytes ?? 0,
        httpPort: 0,
        getfilePort: 0,
        startedAt: Date.now(),
      });
      return new Life(options.channel, number, control, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Peers may talk to us from now on. */
  serve(ports?: { http: number; getfile: number }): void {
    if (ports !== undefined) writePorts(this.control.buffer, ports.http, ports.getfile);
    writeProcessState(this.control.buffer, "serving");
  }

  stopping(): void {
    writeProcessState(this.control.buffer, "stopping");
  }

  /** From now on these are the origins. */
  nameOrigins(names: readonly string[]): void {
    writeOriginNames(this.control.buffer, names);
  }

  /** Ends the life: the control block and the lock go. */
  [Symbol.dispose](): void {
    this.#heartbeat.stop();
    this.control.unlink();
    this.control.close();
    this.#lock.release();
  }
}

/** That of a life of as many threads, empty; undefined: there is none. */
function formerControlBlock(name: ObjectName, threads: number): SharedMemory | undefined {
  const control = SharedMemory.takeOver(name, controlBlockBytes(threads));
  if (control !== undefined) clearControlBlock(control.buffer, threads);
  return control;
}
