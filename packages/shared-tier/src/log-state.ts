/** How a node stands to the others, as its threads and its operator are told. */
export interface LogState {
  /** It hears of every purge. If not, it goes on with what it stores itself. */
  readonly isJoined: boolean;
  /** The number of the last purge that it has applied. */
  readonly sequence: number;
  /** What was filled after an earlier number has to be validated before it is used. */
  readonly validFrom: number;
  /** The number of the last purge that it knows of. */
  readonly newest: number;
  /** How many it knows of and has not applied yet. */
  readonly behind: number;
  /** Nodes of this deployment that have been heard and have not said good-bye. */
  readonly nodes: number;
  /** The engine's clock less this node's. */
  readonly clockOffsetMs: number;
  /** Purges made here that the others do not know of yet. */
  readonly unsent: number;
}
