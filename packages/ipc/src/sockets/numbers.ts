/** What setsockopt(2), send(2) and their like are told: the numbers of Linux on x64 and arm64 (asm-generic/socket.h, linux/in.h, linux/tcp.h). */
export const LEVEL = { SOCKET: 1, TCP: 6 } as const;

export const SO = { ERROR: 4, SNDBUF: 7, LINGER: 13, ATTACH_REUSEPORT_CBPF: 51, DETACH_REUSEPORT_BPF: 68 } as const;

export const TCP = { NODELAY: 1, INFO: 11 } as const;

/** How a socket is shut down (shutdown(2)). */
export const SHUT = { WR: 1, RDWR: 2 } as const;

/** Flags of recv(2) and send(2). */
export const MSG = { DONTWAIT: 0x40, NOSIGNAL: 0x4000, MORE: 0x8000 } as const;
