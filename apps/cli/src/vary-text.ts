/**
 * What the request said that a stored response answered, in the fields that it varies on.
 *
 * @param varyKey As it is stored: a line for each field; a name with a NUL behind it was absent.
 */
export function varyText(varyKey: string): string {
  return varyKey
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (line.endsWith("\0") ? `no ${line.slice(0, -1)}` : line.replace(":", ": ")))
    .join("; ");
}
