/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef DEV_SIGNATURE_H
#define DEV_SIGNATURE_H
/*
 * Recognizes the contents of a device or file by magic numbers.  A small table of contents that
 * people give by mistake, for commands that link only libc; dev_probe() knows many more.
 */
#include "base/units.h"

#define SIGNATURE_LEN 69632 /* bytes of the beginning in which the signatures lie */

/*
 * "an ext4 filesystem", static; NULL: no signature of the table is there.  @data: the first @len
 * bytes.
 */
const char *signature_name(const void *data, size_t len);

/* @name, of signature_name(), is of a file that must be unpacked before it is the bytes of a device. */
bool signature_is_packed(const char *name);

#endif
