/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>

#include "base/err.h"
#include "tap.h"

static void prefix_goes_in_front(void)
{
	struct err e = { 0 };

	check(err_set(&e, -EUCLEAN, "leaf %d", 7) == -EUCLEAN);
	check(err_prefix(&e, -EUCLEAN, "device %d", 3) == -EUCLEAN);
	check_str(e.text, "device 3: leaf 7");
	check(e.code == -EUCLEAN);
}

static void long_texts_are_cut(void)
{
	struct err e = { 0 };
	char s[3000];

	memset(s, 'x', sizeof(s) - 1);
	s[sizeof(s) - 1] = 0;
	err_set(&e, -EIO, "%s", s);
	err_prefix(&e, -EIO, "%s", s);
	check_eq(strlen(e.text), sizeof(e.text) - 1);
}

static void null_is_accepted(void)
{
	check(err_set(NULL, -EIO, "x") == -EIO);
	check(err_sys(NULL, -EIO, "x") == -EIO);
	check(err_prefix(NULL, -EIO, "x") == -EIO);
}

static const struct test tests[] = {
	{ "a prefix goes in front of what is there", prefix_goes_in_front },
	{ "a text that does not fit is cut, never overrun", long_texts_are_cut },
	{ "NULL stands for: the text is not wanted", null_is_accepted },
	{ 0 }
};

int main(int argc, char **argv)
{
	return tap_main(tests, argc, argv);
}
