import { X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:tls";
import { ConfigFile } from "../config/support.ts";
import type { Address } from "../support/address.ts";
import { TempDirectory } from "../support/temp-directory.ts";

/** What the second configuration does not let the cache answer. */
export const BYPASSED = "/c/17/0";

export type Which = "first" | "second";

/** A configuration and a certificate, and others that can take their place: nobody who asks can tell, but by keys, by what is bypassed, and by the certificate. */
export class LiveSettings implements Disposable {
  readonly #files = new TempDirectory();
  readonly #config: ConfigFile;
  readonly #origin: string;

  constructor(origin: string) {
    this.#origin = origin;
    this.#config = new ConfigFile({});
    for (const name of ["first", "second"]) this.#makeCertificate(name);
    this.use("first");
  }

  /** Options that name the files. */
  get args(): string[] {
    const { path } = this.#config;
    const live = (kind: string) => this.#files.file(`live.${kind}`);
    return ["--config", path, "--https-port", "0", "--tls-cert", live("pem"), "--tls-key", live("key")];
  }

  /** What the files hold from now on. */
  use(which: Which): void {
    const origin = this.#origin;
    // The clients' own host becomes a site: all that is stored for them has other keys then.
    const sites = which === "first" ? [] : [{ name: "second", hosts: "chaos", origin }];
    const rules = which === "first" ? [] : [{ path: BYPASSED, bypass: true }];
    this.#config.write({ origin, sites, rules });
    for (const kind of ["pem", "key"])
      writeFileSync(this.#files.file(`live.${kind}`), readFileSync(this.#files.file(`${which}.${kind}`)));
  }

  /** What the log says of it once it holds. */
  wordsOf(which: Which): string {
    return `The configuration was read again: ${which === "first" ? "1 site, 0 rules" : "2 sites, 1 rule"}`;
  }

  fingerprint(which: Which): string {
    return new X509Certificate(readFileSync(this.#files.file(`${which}.pem`))).fingerprint256;
  }

  [Symbol.dispose](): void {
    this.#config[Symbol.dispose]();
    this.#files[Symbol.dispose]();
  }

  #makeCertificate(name: string): void {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const files = ["-keyout", this.#files.file(`${name}.key`), "-out", this.#files.file(`${name}.pem`)];
    const made = Bun.spawnSync([
      "openssl",
      "req",
      "-x509",
      ...key,
      "-days",
      "2",
      "-subj",
      `/CN=${name}.test`,
      ...files,
    ]);
    if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  }
}

/** Of the certificate that is used there; undefined where nobody answers. */
export function fingerprintAt({ host, port }: Address): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.setTimeout(2_000, () => socket.destroy());
    socket.on("error", () => resolve(undefined));
    socket.on("close", () => resolve(undefined));
  });
}
