const { WEBPROXY_TESTS } = process.env;

/** `WEBPROXY_TESTS=whole` runs the long tests at the length that the project promises; without it they take seconds. */
export const IS_WHOLE = WEBPROXY_TESTS === "whole";
