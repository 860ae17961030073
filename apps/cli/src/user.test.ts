import { describe, expect, test } from "bun:test";
import { accountOf, becomeUser } from "./user.ts";

const PASSWD =
  "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:34:www-data:/var/www:/usr/sbin/nologin\n\nnobody:x:65534:65534::/:/bin/false\n";

describe("accountOf()", () => {
  test("finds a user by name and by number", () => {
    const account = { name: "www-data", uid: 33, gid: 34, home: "/var/www" };
    expect(accountOf("www-data", PASSWD)).toEqual(account);
    expect(accountOf("33", PASSWD)).toEqual(account);
  });

  test("finds no other, not by a part of a name, nor by a group, nor by nothing", () => {
    for (const user of ["www", "34", "", "x", "/root"]) expect(accountOf(user, PASSWD)).toBeUndefined();
  });
});

test("becomeUser() refuses a user that there is not, and leaves who it is as he is", () => {
  expect(() => becomeUser("no-such-user")).toThrow("Cannot run as no-such-user: /etc/passwd has no such user");
  const own = process.getuid!();
  becomeUser(undefined);
  becomeUser(String(own));
  expect(process.getuid!()).toBe(own);
});
