/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_SUM_SHA256_H
#define BASE_SUM_SHA256_H
/* SHA-256 (FIPS 180-4), by the CPU's own instructions where it has them.  Threads: one per struct. */
#include <stddef.h>
#include <stdint.h>

#define SHA256_LEN 32
#define SHA256_TEXT (2 * SHA256_LEN + 1) /* in hexadecimal, with the final 0 */

struct sha256 {
	uint32_t state[8];
	uint64_t len; /* bytes added */
	uint8_t rest[64];
	void (*blocks)(uint32_t state[8], const uint8_t *data, size_t nr_blocks);
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t len);
/* The digest; @s is used up. */
void sha256_end(struct sha256 *s, uint8_t digest[SHA256_LEN]);

/* The same as lower case hexadecimal. */
void sha256_end_text(struct sha256 *s, char text[SHA256_TEXT]);

/* For tests: never the CPU's instructions. */
void sha256_blocks_plain(uint32_t state[8], const uint8_t *data, size_t nr_blocks);

#endif
