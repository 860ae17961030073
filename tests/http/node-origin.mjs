// An origin on Node's own HTTP/1.1 parser (llhttp), so that what reached it was read by somebody else. One line of JSON on standard output for the
// port, then one for each request that came whole.
import { createServer } from "node:http";

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("error", () => {});
  request.on("end", () => {
    const { method, url: target, rawHeaders, rawTrailers } = request;
    const body = Buffer.concat(parts);
    say({ method, target, fields: rawHeaders, trailers: rawTrailers, body: body.toString("latin1") });
    response.writeHead(200, { "Cache-Control": "no-store", "X-Method": method, "Content-Length": body.length });
    response.end(method === "HEAD" ? undefined : body);
  });
});
server.on("checkContinue", (request, response) => {
  response.writeContinue();
  server.emit("request", request, response);
});
server.listen(0, "127.0.0.1", () => say({ port: server.address().port }));
process.stdin.on("end", () => process.exit(0)).resume();
