// Listens on a free port, prints it, and never says a word to who connects. A process of its own, so that a test can
// stop it.
const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {}, error() {} } });
console.log(server.port);
