import type { RequestHead, ResponseHead } from "../http1/head.ts";

/** What the caching decisions read of a request: any {@link RequestHead} will do. */
export type RequestMessage = Pick<RequestHead, "method" | "fields">;

/** What the caching decisions read of a response: any {@link ResponseHead} will do. */
export type ResponseMessage = Pick<ResponseHead, "status" | "fields">;
