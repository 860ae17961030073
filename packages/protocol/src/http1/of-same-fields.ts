import type { Fields } from "./fields.ts";

/**
 * The same function, that does not compute again what it was asked last: of one head the same is asked several times on its way, and a peer that says the same head
 * again may be given the same section for it.
 *
 * @param make Depends on nothing but the section. What it gives must not be changed by anybody.
 * @example
 * export const cacheTags = ofSameFields((response) => [...response.all("cache-tag").flatMap(listMembers)]);
 */
export function ofSameFields<Made>(make: (fields: Fields) => Made): (fields: Fields) => Made {
  let last: Fields | undefined;
  let changes = 0;
  let made: Made;
  return (fields) => {
    if (fields === last && fields.changes === changes) return made;
    made = make(fields);
    last = fields;
    changes = fields.changes;
    return made;
  };
}
