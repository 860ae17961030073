// Runs under Node, not under Bun: the other reader, llhttp as Node configures it. One JSON line in, one JSON line out.
//
// in:  [{ kind, bytes, requestMethods? }, ...]      out: [{ messages, outcome, reason? }, ...]     see http1-stream.ts
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { HTTPParser } = createRequire(import.meta.url)("_http_common");
// By the parser's numbers; _http_common's list has gaps.
const { allMethods } = process.binding("http_parser");
const HEAD_BYTES_MAX = 64 * 1024;

function pairs(flat) {
  const found = [];
  for (let i = 0; i + 1 < flat.length; i += 2) found.push([flat[i], flat[i + 1]]);
  return found;
}

function read({ kind, bytes, requestMethods = [] }) {
  const messages = [];
  const pending = [...requestMethods];
  let current;
  let open = false;
  let last = false;
  let target = "";

  const parser = new HTTPParser();
  parser.initialize(kind === "request" ? HTTPParser.REQUEST : HTTPParser.RESPONSE, {}, HEAD_BYTES_MAX);
  let lines = [];
  parser[HTTPParser.kOnMessageBegin] = () => {
    open = true;
    lines = [];
    target = "";
    current = undefined;
  };
  // Called when a head has more fields than it holds at once, and for trailers.
  parser[HTTPParser.kOnHeaders] = (headers, url) => {
    lines = [...lines, ...headers];
    target += url;
  };
  parser[HTTPParser.kOnHeadersComplete] = (
    _major,
    _minor,
    headers,
    method,
    url,
    status,
    _reason,
    upgrade,
    keepAlive,
  ) => {
    current = { fields: pairs(headers === undefined ? lines : [...lines, ...headers]), body: "", trailers: [] };
    lines = [];
    if (kind === "request") Object.assign(current, { method: allMethods[method], target: url ?? target });
    else current.status = status;
    const tunnels = kind === "response" && pending[0] === "CONNECT" && status >= 200 && status < 300;
    // Without a length llhttp takes the connection for the body's end, even where it is told that there is no body.
    const isHead = kind === "response" && pending[0] === "HEAD";
    last = upgrade || tunnels || (!keepAlive && !isHead);
    if (tunnels) return 2;
    // As Node's client does: an interim response has no content, whatever its fields say (RFC 9112 section 6.3).
    const isInterim = kind === "response" && status >= 100 && status < 200 && status !== 101;
    return isHead || isInterim ? 1 : 0;
  };
  parser[HTTPParser.kOnBody] = (chunk) => {
    current.body += Buffer.from(chunk).toString("latin1");
  };
  parser[HTTPParser.kOnMessageComplete] = () => {
    current.trailers = pairs(lines);
    lines = [];
    messages.push(current);
    if (kind === "response" && current.status >= 200) pending.shift();
    open = false;
  };

  const input = Buffer.from(bytes, "latin1");
  const result = parser.execute(input, 0, input.length);
  if (result instanceof Error) {
    // It refuses whatever follows a message that said it is the last; that is an end, not a verdict on the message.
    if (result.code === "HPE_CLOSED_CONNECTION" || (last && !open)) return { messages, outcome: "last" };
    return { messages, outcome: "refused", reason: result.code };
  }
  if (last && !open) return { messages, outcome: "last" };
  const finished = parser.finish();
  if (finished instanceof Error) return { messages, outcome: "incomplete", reason: finished.code };
  if (open) return { messages, outcome: "incomplete" };
  return { messages, outcome: "end" };
}

const answer = (line) => process.stdout.write(`${JSON.stringify(JSON.parse(line).map(read))}\n`);
createInterface({ input: process.stdin }).on("line", answer);
