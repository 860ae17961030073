/** Real peers: nginx and Apache as origins, curl as the client. They are among what .ci/run installs; where one is missing the test says so. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { sha256, someBytes } from "../support/bytes.ts";
import { CountingOrigin } from "../support/counting-origin.ts";
import { TempDirectory } from "../support/temp-directory.ts";
import { Webproxy } from "../support/webproxy.ts";
import { eventually } from "../support/within.ts";

const find = (name: string) => Bun.which(name, { PATH: `${process.env["PATH"]}:/usr/sbin` });
const NGINX = find("nginx");
const APACHE = find("apache2");
const CURL = find("curl");
const MODULES = "/usr/lib/apache2/modules";
const isRoot = process.getuid?.() === 0;

/** A server in the foreground, on a port of its own, until the end of the scope. */
class Server implements AsyncDisposable {
  readonly directory = new TempDirectory({ mode: 0o777 });
  readonly port: number;
  #child: Bun.Subprocess | undefined;

  constructor() {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    this.port = listener.port;
    listener.stop(true);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts it and waits until it listens. */
  async run(command: string[]): Promise<this> {
    const child = Bun.spawn(command, { stdio: ["ignore", "ignore", "inherit"] });
    this.#child = child;
    try {
      await eventually(10_000, `${command[0]} listens`, async () => {
        if (child.exitCode !== null) throw new Error(`${command.join(" ")} ended: ${child.exitCode}`);
        return await this.#isListening();
      });
      return this;
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #isListening(): Promise<boolean> {
    try {
      const socket = await Bun.connect({ hostname: "127.0.0.1", port: this.port, socket: { data() {} } });
      socket.end();
      return true;
    } catch {
      return false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child?.kill("SIGTERM");
    await this.#child?.exited;
    this.directory[Symbol.dispose]();
  }
}

async function nginx(locations: string, upstream = ""): Promise<Server> {
  const server = new Server();
  const { path } = server.directory;
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${path}/${name};`,
  );
  writeFileSync(
    server.directory.file("nginx.conf"),
    `daemon off; worker_processes 1; pid ${path}/pid; error_log stderr crit; events { worker_connections 512; }
     http { access_log off; client_max_body_size 64m; ${temporary.join(" ")} ${upstream}
       server { listen 127.0.0.1:${server.port}; root ${path}; ${locations} } }`,
  );
  await server.run([NGINX!, "-e", "stderr", "-c", server.directory.file("nginx.conf")]);
  return server;
}

async function apache(): Promise<Server> {
  const server = new Server();
  const { path } = server.directory;
  mkdirSync(server.directory.file("dav"), { mode: 0o777 });
  // A mask of 022 would leave the directory to root alone, whom Apache's workers are not.
  Bun.spawnSync(["chmod", "-R", "a+rwX", path]);
  const modules = ["mpm_event", "authz_core", "dav", "dav_fs", "mime"].map(
    (name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`,
  );
  writeFileSync(
    server.directory.file("apache.conf"),
    `${modules.join("\n")}
     ${isRoot ? "User www-data\nGroup www-data" : ""}
     ServerRoot ${path}\nServerName localhost\nListen 127.0.0.1:${server.port}\nPidFile ${path}/pid\nErrorLog ${path}/error.log
     DavLockDB ${path}/locks\nTraceEnable extended\nDocumentRoot ${path}/dav\nTypesConfig /dev/null
     <Directory ${path}/dav>\nDav On\nRequire all granted\n</Directory>\n`,
  );
  await server.run([APACHE!, "-f", server.directory.file("apache.conf"), "-DFOREGROUND"]);
  return server;
}

async function curl(to: Webproxy | Server, path: string, ...args: string[]) {
  const url = `${to instanceof Server ? to.url : `http://${to.http.host}:${to.http.port}`}${path}`;
  const child = Bun.spawn([CURL!, "-sS", "-m", "30", "-w", "%{stderr}%{http_code} %{size_upload}", ...args, url], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [body, said] = await Promise.all([new Response(child.stdout).bytes(), new Response(child.stderr).text()]);
  await child.exited;
  const [status, uploaded] = said.trim().split(" ");
  return { status, uploaded: Number(uploaded), body, text: Buffer.from(body).toString("latin1"), said };
}

describe.skipIf(CURL === null || APACHE === null)("Apache with WebDAV behind, curl in front", () => {
  test("files are put, read, moved, listed and deleted; what changed is not served as it was", async () => {
    await using origin = await apache();
    await using webproxy = await Webproxy.start({ origin: origin.url });
    using files = new TempDirectory();
    const content = someBytes(5_000_011, 1);
    writeFileSync(files.file("up"), content);

    expect(await curl(webproxy, "/a.bin", "-T", files.file("up"))).toMatchObject({ status: "201" });
    expect(sha256((await curl(webproxy, "/a.bin")).body)).toBe(sha256(content));
    // In chunks, with Expect: 100-continue, which curl sends for a body of that size.
    const chunked = ["-T", files.file("up"), "-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue"];
    expect(await curl(webproxy, "/b.bin", ...chunked)).toMatchObject({ status: "201" });
    expect(sha256((await curl(webproxy, "/b.bin")).body)).toBe(sha256(content));

    writeFileSync(files.file("up"), "changed");
    expect(await curl(webproxy, "/a.bin", "-T", files.file("up"))).toMatchObject({ status: "204" });
    expect((await curl(webproxy, "/a.bin")).text).toBe("changed");

    const destination = `Destination: ${origin.url}/c.bin`;
    expect(await curl(webproxy, "/b.bin", "-X", "MOVE", "-H", destination)).toMatchObject({ status: "201" });
    const listed = await curl(webproxy, "/", "-X", "PROPFIND", "-H", "Depth: 1");
    expect([listed.status, listed.text.includes("/c.bin"), listed.text.includes("/b.bin")]).toEqual([
      "207",
      true,
      false,
    ]);
    expect(await curl(webproxy, "/c.bin", "-X", "DELETE")).toMatchObject({ status: "204" });
    expect(await curl(webproxy, "/c.bin")).toMatchObject({ status: "404" });
    expect((await curl(webproxy, "/", "-X", "OPTIONS", "-i")).text).toMatch(/^DAV: 1,2/im);
    // What Apache saw of a TRACE: the fields of the request as they reached it.
    const trace = await curl(webproxy, "/t", "-X", "TRACE", "-H", "X-Own: 1", "-H", "X-Forwarded-For: 9.9.9.9");
    expect(trace.text).toStartWith("TRACE /t HTTP/1.1\r\n");
    expect(trace.text).toContain("X-Own: 1\r\n");
    expect(trace.text).toContain("X-Forwarded-For: 127.0.0.1\r\n");
  }, 60_000);
});

describe.skipIf(CURL === null || NGINX === null)("nginx behind, curl in front", () => {
  test("uploads arrive whole, errors come early, responses of every framing come through", async () => {
    await using origin = await nginx(`
      location /small { client_max_body_size 1k; proxy_pass http://127.0.0.1:1; }
      location /fixed { return 200 "$request_method $http_x_own $http_via"; }
      location /none { return 204; }
      location /zipped { gzip on; gzip_min_length 1; gzip_types *; }`);
    const text = "webproxy ".repeat(100_000);
    mkdirSync(origin.directory.file("zipped"));
    writeFileSync(origin.directory.file("zipped", "a.txt"), text);
    await using webproxy = await Webproxy.start({ origin: origin.url });
    using files = new TempDirectory();
    writeFileSync(files.file("large"), someBytes(20_000_000, 2));

    expect((await curl(webproxy, "/fixed", "-X", "PURGE", "-H", "X-Own: yes")).text).toBe("PURGE yes 1.1 webproxy");
    expect(await curl(webproxy, "/none", "-d", "x")).toMatchObject({ status: "204", text: "" });
    const early = await curl(webproxy, "/small", "-T", files.file("large"), "-H", "Expect: 100-continue");
    expect(early.status).toBe("413");
    expect(early.uploaded).toBeLessThan(20_000_000);
    // nginx refuses it before it has read it, and goes on to read what comes.
    expect(await curl(webproxy, "/small", "-T", files.file("large"), "-H", "Expect:")).toMatchObject({ status: "413" });
    const zipped = await curl(webproxy, "/zipped/a.txt", "-X", "GET", "-d", "x", "--compressed");
    expect([zipped.status, zipped.text === text]).toEqual(["200", true]);
    expect(await curl(webproxy, "/missing", "-X", "DELETE")).toMatchObject({ status: "405" });
    // A hundred requests on connections that curl keeps.
    const { host, port } = webproxy.http;
    const many = Bun.spawnSync([
      CURL!,
      "-sS",
      "-m",
      "30",
      "-d",
      "x",
      "-H",
      "X-Own: [1-100]",
      `http://${host}:${port}/fixed?[1-100]`,
    ]);
    expect(many.stdout.toString().split("POST ").length - 1).toBe(100);
  }, 60_000);
});

/** Apache as a gateway before `url`. */
async function apacheBefore(url: string): Promise<Server> {
  const server = new Server();
  const { path } = server.directory;
  Bun.spawnSync(["chmod", "-R", "a+rwX", path]);
  const modules = ["mpm_event", "authz_core", "proxy", "proxy_http"].map(
    (name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`,
  );
  writeFileSync(
    server.directory.file("apache.conf"),
    `${modules.join("\n")}
     ${isRoot ? "User www-data\nGroup www-data" : ""}
     ServerRoot ${path}\nServerName localhost\nListen 127.0.0.1:${server.port}\nPidFile ${path}/pid\nErrorLog ${path}/error.log
     ProxyPass / ${url}/ enablereuse=on\n`,
  );
  await server.run([APACHE!, "-f", server.directory.file("apache.conf"), "-DFOREGROUND"]);
  return server;
}

/** nginx as a gateway before `host:port`, with connections that it keeps. */
function nginxBefore(host: string, port: number): Promise<Server> {
  return nginx(
    `location / { proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection "";
       proxy_set_header X-Forwarded-For $remote_addr; proxy_buffering off; proxy_request_buffering off; }`,
    `upstream behind { server ${host}:${port}; keepalive 8; }`,
  );
}

describe.skipIf(CURL === null || NGINX === null || APACHE === null)("a gateway in front, curl before it", () => {
  for (const name of ["nginx", "Apache"] as const) {
    test(`${name} reads what webproxy says: hits, ranges, HEAD, 304, chunks, uploads, errors, on connections that it keeps`, async () => {
      const chunks = someBytes(700_001, 3);
      await using origin = CountingOrigin.start({
        "/file": { body: someBytes(300_007, 4), headers: { "Cache-Control": "max-age=600", ETag: '"e"' } },
        "/chunks": { body: chunks, framing: "chunked", headers: { "Cache-Control": "no-store" } },
        "/cut": { body: chunks, framing: "chunked", dieAfterBytes: 100_000, headers: { "Cache-Control": "no-store" } },
        "/put": { body: Buffer.from("stored") },
      });
      await using webproxy = await Webproxy.start({ origin: origin.url, args: ["--trust-proxy", "127.0.0.1"] });
      const { host, port } = webproxy.http;
      await using front =
        name === "nginx" ? await nginxBefore(host, port) : await apacheBefore(`http://${host}:${port}`);
      const ask = (path: string, ...args: string[]) => curl(front, path, ...args);
      for (let time = 0; time < 3; time++) {
        expect(sha256((await ask("/file")).body)).toBe(sha256(someBytes(300_007, 4)));
        expect(sha256((await ask("/chunks")).body)).toBe(sha256(chunks));
      }
      expect(origin.count("/file")).toBe(1);
      const part = await ask("/file", "-r", "1000-1999");
      expect([part.status, sha256(part.body)]).toEqual(["206", sha256(someBytes(300_007, 4).subarray(1000, 2000))]);
      expect((await ask("/file", "-I")).text).toMatch(/^Content-Length: 300007\r$/im);
      expect((await ask("/file", "-H", 'If-None-Match: "e"')).status).toBe("304");
      using files = new TempDirectory();
      writeFileSync(files.file("up"), "u".repeat(100_000));
      expect(await ask("/put", "-T", files.file("up"))).toMatchObject({ status: "200", text: "stored" });
      const put = origin.requests.findLast(({ method }) => method === "PUT")!.head;
      expect(put).toMatch(/^X-Forwarded-For: 127\.0\.0\.1, 127\.0\.0\.1\r$/im);
      expect((await ask("/none")).status).toBe("404");
      // What is broken off is seen to be broken off by everybody on the way.
      expect((await ask("/cut")).said).toMatch(/^curl: \(\d+\) /m);
      // A hundred on connections that curl and the gateway keep.
      const many = await ask("/file?[1-100]", "-o", "/dev/null", "-w", "%{http_code} ");
      expect(many.text).toBe("404 ".repeat(100));
    }, 60_000);
  }
});
