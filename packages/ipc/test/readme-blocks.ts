/** One runnable example of a Markdown page. */
export interface Block {
  /** The heading above it. */
  readonly title: string;
  readonly code: string;
}

/** Every block fenced as `ts`, under its heading. */
export function readmeBlocks(markdown: string): Block[] {
  const blocks: Block[] = [];
  let title = "";
  let code: string[] | undefined;
  for (const line of markdown.split("\n")) {
    if (code !== undefined && line === "```") {
      blocks.push({ title, code: code.join("\n") });
      code = undefined;
    } else if (code !== undefined) code.push(line);
    else if (line === "```ts") code = [];
    else if (line.startsWith("#")) title = line.replace(/^#+ /, "");
  }
  return blocks;
}
