/** Size of a thread's page in its process's control block, and of what stands before the first page. */
export const PAGE_BYTES = 16_384;
