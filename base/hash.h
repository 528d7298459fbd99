/* base/hash.h - FNV-1 as Nomad's class hash uses it, SHA-512 (nettle) for host ids. */
#pragma once

#include "base/mem.h"

#define FNV1_INIT UINT64_C(14695981039346656037)

/* FNV-1 64 bit (multiply, then xor), continued from h */
uint64_t fnv1(uint64_t h, const void *p, size_t n);
void sha512(const void *p, size_t n, uint8_t ret[64]);
