import { readFileSync } from "node:fs";
import { checkTlsPairs, type TlsPair } from "@proj/proxy";
import { cannotRun, messageOf } from "./command-error.ts";
import type { Options } from "./options.ts";

/** Certificates and keys that the options name files of, as they were when these were read: a process that is started again goes by them whatever has become of the files. */
export interface Credentials {
  /** Of this proxy; undefined without TLS. */
  readonly tlsPairs?: readonly TlsPair[] | undefined;
  /** What origins' are verified by; undefined: by what the platform has. */
  readonly originCa?: string | undefined;
}

/**
 * What the options name, read and checked.
 *
 * @throws {CommandError} Exit code 1: a file can not be read, or used, or there is not one key for each certificate.
 */
export async function readCredentials(options: Options): Promise<Credentials> {
  const tlsPairs = readTlsPairs(options);
  try {
    if (tlsPairs !== undefined) await checkTlsPairs(tlsPairs);
  } catch (error) {
    throw cannotRun(messageOf(error), error);
  }
  return { tlsPairs, originCa: readOriginCa(options) };
}

/**
 * The certificates and keys that `--tls-cert` and `--tls-key` name, as they are in their files now; undefined without TLS.
 *
 * @throws {CommandError} Exit code 1: a file can not be read, or there is not one key for each certificate.
 */
function readTlsPairs({ tlsCert, tlsKey }: Pick<Options, "tlsCert" | "tlsKey">): TlsPair[] | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  const certificates = tlsCert?.split(",") ?? [];
  const keys = tlsKey?.split(",") ?? [];
  if (certificates.length !== keys.length) {
    throw cannotRun(
      `Cannot use ${certificates.length} certificates with ${keys.length} keys: name one --tls-key for each --tls-cert, in the same order`,
    );
  }
  return certificates.map((file, index) => ({ cert: read(file, "--tls-cert"), key: read(keys[index]!, "--tls-key") }));
}

/**
 * The certificates that `--origin-ca` names; undefined without it.
 *
 * @throws {CommandError} Exit code 1: the file can not be read.
 */
function readOriginCa({ originCa }: Pick<Options, "originCa">): string | undefined {
  return originCa === undefined ? undefined : read(originCa, "--origin-ca");
}

function read(file: string, flag: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw cannotRun(`Cannot read "${file}" for ${flag}: ${code}. Name a file in PEM that this user may read`, error);
  }
}
