import { Site, type SiteSettings } from "@proj/protocol";
import type { PassContext } from "./pass-through.ts";

/** A site as a thread of the proxy knows it. */
export class ProxySite extends Site {
  /** For what caching has no part in. */
  readonly pass: PassContext;
  /** What stands before a target in the hot tier, so that no other configuration of a site answers with what this one has kept. */
  readonly hotPrefix: string;

  constructor(settings: SiteSettings, pass: PassContext, hotPrefix: string) {
    super(settings);
    this.pass = pass;
    this.hotPrefix = hotPrefix;
  }
}
