/** Why a command ends without having done its work: 2 when it was asked wrongly, 1 when it could not. */
export type FailureExitCode = 1 | 2;

/**
 * A command that can not do what it was asked. The message stands behind `webproxy: ` on standard error as it is: what was
 * tried, on what, why it failed, what to do.
 */
export class CommandError extends Error {
  override readonly name = "CommandError";

  constructor(
    readonly exitCode: FailureExitCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

export function usageError(message: string): CommandError {
  return new CommandError(2, message);
}

export function cannotRun(message: string, cause?: unknown): CommandError {
  return new CommandError(1, message, cause === undefined ? undefined : { cause });
}

/** The name that the operating system gives an error, such as `EACCES`; undefined for an error that has none. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
