import type { Socket } from "bun";

/** A response that is all there. */
export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/** One connection as the script sees it: how many came before it, and how many requests were read on it. */
export interface ScriptedConnection {
  readonly index: number;
  requests: number;
  socket: Socket<ScriptedConnection>;
  /** Sends latin1 text whole, whatever the kernel takes at once. */
  send(text: string): void;
}

export interface ScriptedOrigin extends Disposable {
  readonly url: URL;
  /** Connections taken so far. */
  readonly connections: number;
  /** Heads of the requests read so far, in order. */
  readonly requests: readonly string[];
}

/**
 * An origin that says byte for byte what the script says. `onRequest` runs for each request head; pipelined ones too,
 * so that a client that pipelines shows.
 */
export function scriptedOrigin(
  onRequest: (connection: ScriptedConnection, request: string) => void,
  onOpen: (connection: ScriptedConnection) => void = () => {},
): ScriptedOrigin {
  let connections = 0;
  const requests: string[] = [];
  const unread = new Map<ScriptedConnection, string>();
  const server = Bun.listen<ScriptedConnection>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        const connection: ScriptedConnection = {
          index: connections++,
          requests: 0,
          socket,
          send: (text) => {
            const written = socket.write(Buffer.from(text, "latin1"));
            if (written >= 0 && written < text.length)
              throw new Error(`Cannot send ${text.length} bytes: ${written} taken`);
          },
        };
        socket.data = connection;
        onOpen(connection);
      },
      data(socket, chunk) {
        const connection = socket.data;
        let text = (unread.get(connection) ?? "") + chunk.toString("latin1");
        for (let end = text.indexOf("\r\n\r\n"); end !== -1; end = text.indexOf("\r\n\r\n")) {
          const request = text.slice(0, end + 4);
          text = text.slice(end + 4);
          requests.push(request);
          connection.requests++;
          onRequest(connection, request);
        }
        unread.set(connection, text);
      },
      error() {}, // a client that left is none of the script's business
    },
  });
  return {
    url: new URL(`http://127.0.0.1:${server.port}`),
    get connections() {
      return connections;
    },
    requests,
    [Symbol.dispose]: () => server.stop(true),
  };
}
