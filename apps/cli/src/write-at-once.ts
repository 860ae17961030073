import { Outlet } from "./outlet.ts";

const STANDARD_OUTPUT = 1;
const STANDARD_ERROR = 2;

/** Writes text to a descriptor, before this returns. Who reads it is waited for a tenth of a second at most. */
function writeAtOnce(fildes: number, text: string): void {
  const outlet = new Outlet(fildes);
  outlet.write(text);
  outlet.close();
}

/** A line on standard output. (`process.stdout` takes 17 ms to be made, for which whoever waits for the ready line would wait.) */
export function printLine(line: string): void {
  writeAtOnce(STANDARD_OUTPUT, `${line}\n`);
}

/** A line on standard error that does not belong to a log: why a command ends. */
export function complain(message: string): void {
  writeAtOnce(STANDARD_ERROR, `webproxy: ${message}\n`);
}
