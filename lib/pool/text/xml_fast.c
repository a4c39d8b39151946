/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A restore spends its time reading mapping elements, nearly all of which were written by
 * some thin_dump: four fixed spellings and two to four numbers.  Numbers are read eight
 * digits at a time, after the ASCII arithmetic that is known as SWAR (SIMD within a
 * register); the fixed parts are compared as whole words.
 *
 * The lane is exact or not at all: where a byte differs from the canonical form it stops in
 * front of that element, and expat sees it.
 */
#include "pool/text/xml_fast.h"

#include <endian.h>
#include <string.h>

static inline uint64_t load8(const char *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return le64toh(v);
}

/* Up to eight decimal digits at @p: their number, and their value in @v. */
static inline unsigned digits8(const char *p, uint64_t *v)
{
	uint64_t x = load8(p) ^ UINT64_C(0x3030303030303030);
	uint64_t other = ((x + UINT64_C(0x7676767676767676)) | x) & UINT64_C(0x8080808080808080);
	unsigned n = other ? (unsigned)__builtin_ctzll(other) / 8 : 8;

	if (!n) {
		*v = 0;
		return 0;
	}
	x <<= 64 - 8 * n; /* leading zeros, the last digit in the top byte */
	x = x * 10 + (x >> 8);
	x = ((x & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
	     (x >> 16 & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001)) >> 32;
	*v = x;
	return n;
}

/* One to nineteen digits, which always fit; returns what follows them, or NULL. */
static inline const char *number(const char *p, uint64_t *out)
{
	static const uint64_t power[] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000,
					  100000000 };
	uint64_t v, part;
	unsigned n = digits8(p, &v), more;

	if (likely(n < 8)) {
		*out = v;
		return n ? p + n : NULL;
	}
	more = digits8(p + 8, &part);
	v = v * power[more] + part;
	n += more;
	if (more == 8) {
		more = digits8(p + 16, &part);
		if (more > 3)
			return NULL;
		v = v * power[more] + part;
		n += more;
	}
	*out = v;
	return p + n;
}

/* A fixed part of the spelling; gcc makes word compares of it. */
#define SKIP(p, lit)                                           \
	({                                                     \
		if (memcmp((p), "" lit, sizeof(lit) - 1) != 0) \
			return NULL;                           \
		(p) += sizeof(lit) - 1;                        \
	})

#define NUMBER(p, v)                            \
	({                                      \
		(p) = number((p), &(v));        \
		if (unlikely(!(p)))             \
			return NULL;            \
	})

/* Each of these returns what follows the element at @p, or NULL: not canonical. */
static inline const char *single(const char *p, uint64_t v[4])
{
	SKIP(p, "<single_mapping origin_block=\"");
	NUMBER(p, v[0]);
	SKIP(p, "\" data_block=\"");
	NUMBER(p, v[1]);
	v[2] = 1;
	SKIP(p, "\" time=\"");
	NUMBER(p, v[3]);
	SKIP(p, "\"/>");
	return p;
}

static inline const char *range(const char *p, uint64_t v[4])
{
	SKIP(p, "<range_mapping origin_begin=\"");
	NUMBER(p, v[0]);
	SKIP(p, "\" data_begin=\"");
	NUMBER(p, v[1]);
	SKIP(p, "\" length=\"");
	NUMBER(p, v[2]);
	SKIP(p, "\" time=\"");
	NUMBER(p, v[3]);
	SKIP(p, "\"/>");
	return p;
}

static inline const char *ref(const char *p, uint64_t *name)
{
	SKIP(p, "<ref name=\"");
	if (*p == '0' && p[1] != '"')
		return NULL; /* not the canonical spelling of a number: a name of its own */
	NUMBER(p, *name);
	SKIP(p, "\"/>");
	return *name <= XML_MAX_NUMERIC_NAME ? p : NULL;
}

int xml_fast_take(struct xml_rules *r, struct xml_fast *f, const char *end, bool in_device)
{
	const char *p = f->at, *next;
	uint64_t v[4], lines = 0;
	int e = 0;

	while (end - p >= XML_FAST_ROOM) {
		if (*p == '\n' || *p == ' ' || *p == '\t') {
			lines += *p++ == '\n';
			if (load8(p) << 32 == UINT64_C(0x2020202000000000))
				p += 4;
			continue;
		}
		if (*p != '<')
			break;
		if (p[1] == 's' ? !!(next = single(p, v)) : p[1] == 'r' && !!(next = range(p, v)))
			e = rules_run(r, v[0], v[1], v[2], v[3]);
		else if (in_device && p[1] == 'r' && (next = ref(p, v)))
			e = rules_ref(r, v[0]);
		else
			break;
		if (e < 0)
			break;
		p = next;
	}
	f->at = p;
	f->lines = lines;
	return e;
}

static bool begins(const char *p, const char *end, const char *lit, size_t len)
{
	return (size_t)(end - p) >= len && !memcmp(p, lit, len);
}

#define BEGINS(p, end, lit) begins((p), (end), "" lit, sizeof(lit) - 1)

const char *xml_fast_find(const char *p, const char *end)
{
	const char *begin = p, *tag;

	for (; (p = memchr(p, '<', (size_t)(end - p))); p++) {
		if (!BEGINS(p, end, "<single_mapping origin_block=\"") &&
		    !BEGINS(p, end, "<range_mapping origin_begin=\"") &&
		    !BEGINS(p, end, "<ref name=\""))
			continue;
		for (tag = p; tag > begin && strchr(" \t\n", tag[-1]) && tag[-1]; tag--)
			;
		if (tag > begin && tag[-1] == '>')
			return tag;
	}
	return NULL;
}
