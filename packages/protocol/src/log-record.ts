/** One thing worth telling an operator, handed to whoever composes the processes: packages do not choose where it is written. */
export interface LogRecord {
  level: "debug" | "info" | "warn" | "error";
  message: string;
  [field: string]: unknown;
}
