import { type Fields, gatewayName, ofSameFields } from "@proj/protocol";

/** No field value holds it, so nothing that is said in one spelling passes for something said in another. */
const APART = "\x01";

const oddlySpelled = ofSameFields((fields) => fields.filter((lowerName) => gatewayName(lowerName) !== lowerName));

/**
 * What a request says in a field that a response varies on. Behind CGI `X_Tongue: fr` is `X-Tongue: fr`: so who says that is kept apart from who says nothing,
 * and from who says it in the usual spelling.
 */
export function saidInAnySpelling(fields: Fields, lowerName: string): string | undefined {
  const said = fields.get(lowerName);
  const odd = oddlySpelled(fields);
  if (odd.length === 0) return said;
  const others = odd.filter((name) => name !== lowerName && gatewayName(name) === lowerName);
  return others.length === 0 ? said : [said ?? "", ...[...others].flat()].join(APART);
}
