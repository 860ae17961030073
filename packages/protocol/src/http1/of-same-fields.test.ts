import { expect, test } from "bun:test";
import { Fields } from "./fields.ts";
import { ofSameFields } from "./of-same-fields.ts";

test("ofSameFields() computes once for a section, however often it is asked", () => {
  let calls = 0;
  const count = ofSameFields((fields) => ({ calls: ++calls, length: fields.length }));
  const fields = Fields.from([["A", "1"]]);
  const first = count(fields);
  expect(count(fields)).toBe(first);
  expect(calls).toBe(1);
});

test("ofSameFields() computes anew for another section that says the same, and when the first comes again", () => {
  const rendered = ofSameFields((fields) => ({ text: fields.render() }));
  const one = Fields.from([["A", "1"]]);
  const other = Fields.from([["A", "2"]]);
  expect(rendered(one).text).toBe("A: 1\r\n");
  expect(rendered(other).text).toBe("A: 2\r\n");
  expect(rendered(one).text).toBe("A: 1\r\n");
});

test("ofSameFields() computes anew when the section was changed, in whatever way", () => {
  const rendered = ofSameFields((fields) => fields.render());
  const fields = Fields.from([["A", "1"]]);
  const changes: ((fields: Fields) => void)[] = [
    (one) => one.add("B", "2"),
    (one) => one.set("A", "3"),
    (one) => one.addAll(Fields.from([["C", "4"]])),
    (one) => one.remove("b"),
  ];
  for (const change of changes) {
    expect(rendered(fields)).toBe(fields.render());
    change(fields);
    expect(rendered(fields)).toBe(fields.render());
  }
  expect(rendered(fields)).toBe("A: 3\r\nC: 4\r\n");
});
