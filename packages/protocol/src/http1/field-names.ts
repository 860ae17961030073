/** Names remembered by each judgement, and how long they may be: more than honest clients have. What comes beyond is judged each time. */
const REMEMBERED_MAX = 512;
const REMEMBERED_NAME_MAX = 64;
const ODD_OCTET = /[^a-z0-9-]/g;

/**
 * A field's name as it reaches a program behind CGI, FastCGI, WSGI or PHP: there `X_Forwarded_Host` and `X-Forwarded-Host` are one variable
 * (RFC 3875 section 4.1.18), and some gateways write an underscore for any other octet of a token too. Who takes a field away has to take all of these.
 *
 * @returns In lower case, with a hyphen for each octet that is neither letter nor digit.
 */
export function gatewayName(lowerName: string): string {
  return lowerName.replace(ODD_OCTET, "-");
}

/**
 * A judgement about fields by their {@link gatewayName}, as quick as a look-up: heads hold the same few names again and again.
 *
 * @example
 * const isConditional = onGatewayName((name) => CONDITIONAL.has(name));
 * isConditional("if_none_match"); // true
 */
export function onGatewayName(judge: (name: string) => boolean): (lowerName: string) => boolean {
  const known = new Map<string, boolean>();
  return (lowerName) => {
    const verdict = known.get(lowerName);
    if (verdict !== undefined) return verdict;
    const made = judge(gatewayName(lowerName));
    // A copy: the name may be cut of a whole head, which would stay in memory with it.
    if (known.size < REMEMBERED_MAX && lowerName.length <= REMEMBERED_NAME_MAX) known.set(copyOf(lowerName), made);
    return made;
  };
}

function copyOf(name: string): string {
  return Buffer.from(name, "latin1").toString("latin1");
}
