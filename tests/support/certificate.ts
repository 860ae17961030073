import type { TempDirectory } from "./temp-directory.ts";

/** Files of a certificate, made for the test, and of its key. */
export interface CertificateFiles {
  cert: string;
  key: string;
}

/** A certificate for `name`, signed by its own key, as files of the directory that are called by it. */
export function makeCertificate(files: TempDirectory, name: string): CertificateFiles {
  const [key, cert] = [files.file(`${name}.key`), files.file(`${name}.pem`)];
  const made = Bun.spawnSync([
    ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
    ...["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`, "-keyout", key, "-out", cert],
  ]);
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  return { cert, key };
}
