import type { OriginClient } from "@proj/origin";
import { Site, type SiteSettings } from "@proj/protocol";

/** A site as a shard knows it: with who is asked for what is not stored. */
export class CacheSite extends Site {
  readonly origin: OriginClient;

  constructor(settings: SiteSettings, origin: OriginClient) {
    super(settings);
    this.origin = origin;
  }
}
