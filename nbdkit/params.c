/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "nbdkit/params.h"

#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "config.h"

#include "base/text/parse.h"
#include "base/text/similar.h"
#include "nbdkit/exports.h"

static const char *const keys[] = { "pool", "pool-name", "pv", "seqno", "device", "data-dev", "origin",
				    "origin-format", "size", "readonly", "force", "force-share" };

static int set_path(char **to, const char *value)
{
	free(*to);
	*to = nbdkit_absolute_path(value);
	return *to ? 0 : -1;
}

static int set_word(char **to, const char *value)
{
	free(*to);
	*to = strdup(value);
	return *to ? 0 : -1;
}

static int add_pv(const char *value)
{
	char *path = NULL;

	if (thin.lvm.nr_pvs == LVM_MAX_PVS) {
		nbdkit_error("pv= is given more than %d times", LVM_MAX_PVS);
		return -1;
	}
	if (set_path(&path, value))
		return -1;
	thin.lvm.pv[thin.lvm.nr_pvs++] = thin.pv[thin.nr_pvs] = path;
	thin.nr_pvs++;
	return 0;
}

static int set_seqno(const char *value)
{
	struct err err;

	thin.lvm.has_seqno = !parse_u64(value, &thin.lvm.seqno, &err);
	if (!thin.lvm.has_seqno)
		nbdkit_error("seqno=: %s", err.text);
	return thin.lvm.has_seqno ? 0 : -1;
}

static int set_bool(bool *to, const char *value)
{
	int r = nbdkit_parse_bool(value);

	*to = r > 0;
	return r < 0 ? -1 : 0;
}

static int unknown(const char *key)
{
	char question[SIMILAR_QUESTION];
	struct similar s;

	if (!strcmp(key, "metadata-snap") || !strcmp(key, "take-metadata-snap")) {
		nbdkit_error("%s: a metadata snapshot is not served: the active pool may reuse its data "
			     "blocks.  'nbdkit file /dev/VG/LV' serves the active device, "
			     "'thin_materialize %s /dev/VG/LV OUTPUT' writes an image",
			     key, *key == 'm' ? "-m" : "--take-metadata-snap");
		return -1;
	}
	similar_init(&s, key, strlen(key));
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		similar_offer(&s, keys[i]);
	nbdkit_error("unknown parameter '%s'%s", key, similar_question(question, s.found, "="));
	return -1;
}

static bool is_known(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(key, keys[i]))
			return true;
	return false;
}

int params_set(const char *key, const char *value)
{
	struct err err = { 0 };

	if (!is_known(key))
		return unknown(key);
	if (!*value) {
		nbdkit_error("%s= is empty: it needs a value", key);
		return -1;
	}
	if (!strcmp(key, "pool") && strcmp(value, "-"))
		return set_path(&thin.pool, value);
	if (!strcmp(key, "pool"))
		return set_word(&thin.pool, value);
	if (!strcmp(key, "pool-name"))
		return set_word(&thin.pool_name, value);
	if (!strcmp(key, "pv"))
		return add_pv(value);
	if (!strcmp(key, "seqno"))
		return set_seqno(value);
	if (!strcmp(key, "data-dev"))
		return set_word(&thin.data_dev, value);
	if (!strcmp(key, "origin"))
		return set_word(&thin.origin, value);
	if (!strcmp(key, "device"))
		return set_word(&thin.device, value);
	if (!strcmp(key, "origin-format")) {
		thin.origin_raw = !strcmp(value, "raw");
		if (!thin.origin_raw)
			nbdkit_error("origin-format=%s: only raw origins are read", value);
		return thin.origin_raw ? 0 : -1;
	}
	if (!strcmp(key, "size")) {
		if (!parse_size(value, 1, true, &thin.size, &err) && thin.size)
			return 0;
		nbdkit_error("size=%s: %s", value, err.text[0] ? err.text : "must not be zero");
		return -1;
	}
	if (!strcmp(key, "readonly"))
		return set_bool(&thin.read_only, value);
	return set_bool(!strcmp(key, "force") ? &thin.force : &thin.force_share, value);
}

int params_complete(void)
{
	if (!thin.pool) {
		nbdkit_error("pool=FILE is missing: a table file, or the metadata device of a thin "
			     "pool");
		return -1;
	}
	if ((thin.origin || thin.size) && !thin.device) {
		nbdkit_error("origin= and size= belong to one device: device=ID is missing");
		return -1;
	}
	if (thin.force_share && !thin.read_only) {
		nbdkit_error("force-share=true needs readonly=true: two programs cannot write to a "
			     "pool");
		return -1;
	}
	return 0;
}
