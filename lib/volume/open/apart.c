/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* One file or device with two roles would be read as garbage, or overwritten while it is read. */
#include <string.h>

#include "dev/dev.h"
#include "volume/open/pool_arg.h"

int pool_arg_parts_apart(const struct pool_arg *p, const char *pool, const char *data, const char *origin,
			 struct err *err)
{
	const struct dev_role roles[] = {
		{ "metadata", p->metadata },
		{ "data device", data },
		{ "external origin", table_is_own_thin(p->table, origin) ? NULL : origin },
		{ "table file", table_file(p->table, pool) },
	};

	return dev_roles_apart(roles, ARRAY_SIZE(roles), err);
}

int pool_arg_apart(const struct pool_arg *p, const char *pool, const struct dev_role *role,
		   struct err *err)
{
	const struct table *t = p->table;
	const bool data = t && t->pool && strcmp(role->what, "data device");
	const struct dev_role roles[] = { *role,
					  { "metadata", p->metadata },
					  { "data device", data ? t->pool->data.path : NULL },
					  { "table file", table_file(t, pool) } };
	int r = dev_roles_apart(roles, ARRAY_SIZE(roles), err);
	const char *origin;

	for (size_t i = 0; !r && (origin = table_next_origin(t, &i));) {
		const struct dev_role pair[] = { *role, { "external origin", origin } };

		r = dev_roles_apart(pair, ARRAY_SIZE(pair), err);
	}
	return r;
}
