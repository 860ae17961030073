const ODD_OCTET = /[^a-z0-9-]/;
const ODD_OCTETS = /[^a-z0-9-]/g;

/**
 * A field's name as it reaches a program behind CGI, FastCGI, WSGI or PHP: there `X_Forwarded_Host` and `X-Forwarded-Host` are one variable
 * (RFC 3875 section 4.1.18), and some gateways write an underscore for any other octet of a token too. Who takes a field away has to take all of these.
 *
 * @returns In lower case, with a hyphen for each octet that is neither letter nor digit: nearly always what was given.
 */
export function gatewayName(lowerName: string): string {
  // Asked for every field of every request: to look first is a third of what replacing takes.
  return ODD_OCTET.test(lowerName) ? lowerName.replace(ODD_OCTETS, "-") : lowerName;
}
