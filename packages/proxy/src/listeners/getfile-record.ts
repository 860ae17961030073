import type { Asked } from "../access-recorder.ts";
import { ClientRecord } from "./client-record.ts";

/** What is said of a GETFILE client and of its request. */
export class GetfileRecord extends ClientRecord {
  path = "";

  /** A request is answered from here on; nothing happens where that was said before. */
  begin(): void {
    if (this.current !== undefined) return;
    void this.address;
    this.current = this.access.begin();
  }

  beginHot(): void {
    this.current = this.access.beginSampledHot();
  }

  /** We answer it in place of the origin. What could not be read stays that. */
  refused(verdict: "refused" | "malformed", status: number): void {
    if (this.current?.verdict === "malformed") return;
    this.begin();
    this.access.refused(this.current!, verdict, status);
  }

  protected asked(): Asked {
    return { ...ASKED, target: this.path, client: this.address };
  }
}

const ASKED: Asked = {
  method: "GET",
  target: "",
  host: "",
  client: "",
  referer: "",
  userAgent: "",
  wire: "getfile",
  minorVersion: 1,
  isTls: false,
};
