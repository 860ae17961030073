import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Fields } from "./fields.ts";

const some = () =>
  Fields.from([
    ["Host", "a"],
    ["Accept", "b"],
    ["X-One", "1"],
    ["ACCEPT", "c, d"],
  ]);

describe("Fields", () => {
  test("lines keep their order, case and repetition", () => {
    expect([...some()]).toEqual([
      ["Host", "a"],
      ["Accept", "b"],
      ["X-One", "1"],
      ["ACCEPT", "c, d"],
    ]);
    expect(some().length).toBe(4);
    expect(some().name(3)).toBe("ACCEPT");
    expect(some().value(3)).toBe("c, d");
    expect(some().lowerName(3)).toBe("accept");
    expect(some().render()).toBe("Host: a\r\nAccept: b\r\nX-One: 1\r\nACCEPT: c, d\r\n");
  });

  test("get() joins all lines of a name, all() does not", () => {
    expect(some().get("accept")).toBe("b, c, d");
    expect(some().all("accept")).toEqual(["b", "c, d"]);
    expect(some().count("accept")).toBe(2);
    expect(some().has("accept")).toBe(true);
  });

  test("a name that is not there is undefined, empty, 0 and false", () => {
    expect(some().get("acceptx")).toBeUndefined();
    expect(some().get("hoSt")).toBeUndefined();
    expect(some().all("x")).toEqual([]);
    expect(some().count("x")).toBe(0);
    expect(some().has("x")).toBe(false);
  });

  test("an empty value is there", () => {
    expect(Fields.from([["A", ""]]).get("a")).toBe("");
  });

  test("set() keeps the first line's place and removes the others", () => {
    const fields = some();
    fields.set("accept", "z");
    fields.set("New", "n");
    expect(fields.render()).toBe("Host: a\r\naccept: z\r\nX-One: 1\r\nNew: n\r\n");
    expect([fields.get("accept"), fields.get("x-one"), fields.get("new")]).toEqual(["z", "1", "n"]);
  });

  test("remove() removes every line of a name and no other", () => {
    const fields = some();
    expect(fields.has("accept")).toBe(true); // names looked up before must not be remembered at the wrong line
    fields.remove("accept");
    expect(fields.render()).toBe("Host: a\r\nX-One: 1\r\n");
    expect(fields.lowerName(1)).toBe("x-one");
    fields.add("Accept", "e");
    expect(fields.get("accept")).toBe("e");
  });

  test("filter() leaves the original as it was", () => {
    const fields = some();
    expect(fields.filter((lowerName) => lowerName !== "accept").render()).toBe("Host: a\r\nX-One: 1\r\n");
    expect(fields.length).toBe(4);
  });

  test.each(["", "a b", "a:", "a\r\nB", "é", "a\0", "(a)"])("add() refuses the name %j", (name) => {
    expect(() => new Fields().add(name, "v")).toThrow(TypeError);
    expect(() => new Fields().set(name, "v")).toThrow(TypeError);
  });

  test.each(["a\r\nB: c", "a\nb", "a\rb", "a\0", "\u0100", "\x7f"])("add() refuses the value %j", (value) => {
    expect(() => new Fields().add("A", value)).toThrow(TypeError);
    expect(() => Fields.from([["A", value]])).toThrow(TypeError);
  });

  test("a line that is not there throws", () => {
    expect(() => some().name(4)).toThrow(RangeError);
    expect(() => some().value(-1)).toThrow(RangeError);
    expect(() => some().lowerName(4)).toThrow(RangeError);
  });

  test("any sequence of changes is what the same changes make of a plain list", () => {
    const names = fc.constantFrom("A", "a", "Bb", "bB", "Content-Length");
    const changes = fc.array(
      fc.record({
        kind: fc.constantFrom("add", "set", "remove", "look"),
        name: names,
        value: fc.constantFrom("1", "2"),
      }),
    );
    const property = fc.property(changes, (steps) => {
      const fields = new Fields();
      let model: [string, string][] = [];
      for (const { kind, name, value } of steps) {
        const lower = name.toLowerCase();
        const others = model.filter(([other]) => other.toLowerCase() !== lower);
        const first = model.findIndex(([other]) => other.toLowerCase() === lower);
        if (kind === "add") {
          fields.add(name, value);
          model.push([name, value]);
        } else if (kind === "set") {
          fields.set(name, value);
          if (first === -1) model.push([name, value]);
          else model = [...others.slice(0, first), [name, value], ...others.slice(first)];
        } else if (kind === "remove") {
          fields.remove(lower);
          model = others;
        } else {
          const values = model.flatMap(([other, found]) => (other.toLowerCase() === lower ? [found] : []));
          expect(fields.all(lower)).toEqual(values);
          expect(fields.get(lower)).toBe(values.length === 0 ? undefined : values.join(", "));
        }
        expect([...fields]).toEqual(model);
      }
    });
    fc.assert(property, { numRuns: 500 });
  });
});
