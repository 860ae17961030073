/** What setsockopt(2) and its like are told: the numbers of Linux on x64 and arm64 (asm-generic/socket.h, linux/in.h, linux/tcp.h). */
export const LEVEL = { SOCKET: 1, TCP: 6 } as const;

export const SO = { ERROR: 4, SNDBUF: 7, LINGER: 13, ATTACH_REUSEPORT_CBPF: 51, DETACH_REUSEPORT_BPF: 68 } as const;

export const TCP = { NODELAY: 1, INFO: 11 } as const;

/** How a socket is shut down (shutdown(2)). */
export const SHUT = { WR: 1, RDWR: 2 } as const;
