/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/sum/sha256.h"
#include "tap.h"

static void known(const char *data, size_t len, const char *want)
{
	char text[SHA256_TEXT];
	struct sha256 s;

	sha256_init(&s);
	sha256_add(&s, data, len);
	sha256_end_text(&s, text);
	check_str(text, want);
	sha256_init(&s);
	s.blocks = sha256_blocks_plain;
	sha256_add(&s, data, len);
	sha256_end_text(&s, text);
	check_str(text, want);
}

static void known_values(void)
{
	char *a = malloc(1000000);

	/* the examples of FIPS 180-4 */
	known("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	known("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	known("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
	      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	memset(a, 'a', 1000000);
	known(a, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(a);
}

static void any_cut(void)
{
	uint8_t data[300], whole[SHA256_LEN], parts[SHA256_LEN];
	struct sha256 s;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37 + i / 7);
	for (size_t len = 0; len <= sizeof(data); len += 13) {
		sha256_init(&s);
		s.blocks = sha256_blocks_plain;
		sha256_add(&s, data, len);
		sha256_end(&s, whole);
		for (size_t cut = 0; cut <= len; cut++) {
			sha256_init(&s);
			sha256_add(&s, data, cut);
			sha256_add(&s, data + cut, len - cut);
			sha256_end(&s, parts);
			check(!memcmp(whole, parts, SHA256_LEN));
		}
	}
}

static const struct test tests[] = {
	{ "the published values come out, with and without the CPU's instructions", known_values },
	{ "a digest is the same wherever its input was cut", any_cut },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
