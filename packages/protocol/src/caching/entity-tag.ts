/** An entity tag (RFC 9110 section 8.8.3); `opaque` keeps its quotes, case and every octet. */
export interface EntityTag {
  readonly weak: boolean;
  readonly opaque: string;
}

/** `W/` is in upper case only; inside the quotes anything but `"`, space and controls. */
const ENTITY_TAG = /^(W\/)?("[\x21\x23-\x7e\x80-\xff]*")$/;

/** The entity tag a value is; undefined when it is none: unquoted, `w/"..."`, several. */
export function parseEntityTag(value: string): EntityTag | undefined {
  const match = ENTITY_TAG.exec(value);
  const opaque = match?.[2];
  return opaque === undefined ? undefined : { weak: match?.[1] !== undefined, opaque };
}

/** One tag as a member of a list. Its own scan: a backslash is an ordinary octet here, and a comma may stand inside. */
const LISTED_TAG = /(?:^|,)[ \t]*((?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?=,|$)/g;

/** The tags of an If-Match or If-None-Match value; members that are none are left out. `*` stands for any. */
export function parseEntityTags(value: string): EntityTag[] | "*" {
  if (value === "*") return "*";
  const tags: EntityTag[] = [];
  for (const [, text = ""] of value.matchAll(LISTED_TAG)) {
    const tag = parseEntityTag(text);
    if (tag !== undefined) tags.push(tag);
  }
  return tags;
}

/** RFC 9110 section 8.8.3.2: equal, and neither is weak. */
export function strongMatch(a: EntityTag, b: EntityTag): boolean {
  return !a.weak && !b.weak && a.opaque === b.opaque;
}

/** RFC 9110 section 8.8.3.2: equal, weak or not. */
export function weakMatch(a: EntityTag, b: EntityTag): boolean {
  return a.opaque === b.opaque;
}
